"""Words that occur in the headers of any patient: the privacy gate's own list.

The gate shares no code with the engine. A word that the engine keeps and this list lacks blocks a
package; a test compares the two lists.
"""

from typing import Final

from drawcli.core.gate.identifiers import COMMON

# Words of code strings: defined terms, enumerated values and words that manufacturers add to Image
# Type (PS3.3); body parts (PS3.16 annex L).
TERMS: Final = frozenset(
    """
    10918 13818 14495 14496 15444 1cm 1d 2d 3d 3drp 422 aa abdomen abdomenpelvis ac acceleration
    accuracy acq adapt adc add addition admin advantage afdl afdr after ai aluminum always amplitude
    and ang angio angle angular ankle ant anterior antipar apex arm array astg atomic attenuated
    attenuation attn auto automatic average avg ax axial axilla back base based beam before best
    bilateral bladder blade blood bmatrix body bone both bq bqml brain breast bsa buckled bv bw cad
    cadence caipi calc calculated card cardiac cardresp cbf cbv cc centric cervix cg chest
    chestabdomen chestabdpelvis ciml cine circular clamshell clavicle cln closed cm cm2 cm2ml cnts
    coil col colon color column com combination compensated compensation complex concave concurrent
    condensed cone constant continuous contrast converted copper cor coronal corrected count counts
    cps csa csaimage csamanipulated csaparallel csaresampled cspine ct cta ctp curved cvr cw cyl
    cylindrical db dbdt dcal dce de decy default degc delay delayed demep dens density derived
    despike det detail detector deviation diastole diff diffusion directional dis distorted divg
    division dixon dlyd dose double drb drp drr dt dtim dual dynamic ear ecc ecg echo ed edited edw
    eff eights elbow electric electron ellipsoidal elliptic elliptical em emission encode encoded
    end energy enhanced ep epi equal esophagus europium exact exp expiration exponential extremity
    eye fa fact false fan fanb fast fat fda femur ff ffdl ffdr ffe ffp ffs field filter filtered
    first fit fixed flair flash flat flow fluence fluid fluoroscopy fm foot fore foreground forward
    fourier fp fractional free freq frequency from full fused fusion gadolinium gap gated gdc gel
    geom gml gr gradient grappa gre grid hair half hamming hand hanning hardware head headneck heart
    helical hfdl hfdr hfp hfs high hip hires horizontal hu humerus hybrid ibw ica ict ideal identity
    iec image images imaginary imr incoherent inf insp inspiration intensity interleaved inverse
    inverted iodine ip iq ir iso isotropic iterative ivim jaw jp jpeg kev kidney knee kv label last
    lbm lbmjames lbmjames128 lbmjanma lead left leg level lfdl lfdr lfp lfs lin line linear liver lm
    local localizer log longitudinal loop lossless lossy low lower lspine lung mag magnitude manu
    manual map masked mat material max maxilla maximum mc mean measured median mediastinum medicine
    medium metabolite metal mfsi mgminml mgml mgml2 mhw min minimum minip minus mip mixed ml mlem
    mlg mlming mlminml mlml moco mod modified modulus molybdenum mono monochrome monochrome1
    monochrome2 monoenergetic mosaic motion motn mouth mp mpr mr mra mtc mtt mul multi multicoil
    multiplanar multiple multiplication multislice nac navigator ncar nco nd neck neckchest
    neckchestabdomen neckchestabdpelv nema nerve niobium nm no non noncon none nonlinear norm normal
    nose not nrgy nuclear num number obl oblique od odd of off on op open opposed orbit original os
    osem osp other out overlap overlay ovfl palette pancreas par para parallel parotid partial
    partially pasted pat pc pcnt pct pddl pelvis per percent perfusion permute pet pfdl pfdr pharynx
    phase phased phi photon pils pinh plan planar plus pmot population positron post posterior pr
    pre precession precision prep prescan preset press pressure primary proc processed product
    profile proj projection prompt propcnts propcps propeller proportional prospective prostate
    proton pseudocontinuous psf pt pulsed quadrature rad radial radl ramla ran random rate rcbf rcbv
    rct rdd real realtime rear rebinned recon rect rectangular rectilinear rectum reformat
    reformatted reg registered removed render reprojection res resampled research resliced resonance
    resp respir respiratory rest restricted retrospective reverse reversed rf rfp rfs rgb rhodium
    rib right ring rm rng rotated rotating row rp rr rs sag sagittal sampled sar saturation sc scat
    score scout se second secondary sect segmented select sense separate septum seq sequence
    sequenced sequential serial service sharp shell shim shoot short shoulder shutter si sigmoid
    silicon simulated simultaneous sine sing single sinusoidal six sk skull slab slice slip slnt
    slsens smash smooth soft software som source sp space sparse spatial specific spect spectral
    spectroscopy spgr spherical spi spin spine spiral spleen split spoiled ss ssfp sspine stack
    stand standard star start state static stationary std stddev stdm steady step stepped stepping
    sternum stim stir stomach stress sub subtract subtraction sum surface swi symmetric sys systole
    t1 t2 table tagging tb tdi temporal tensor test testis tf thick thigh thorax thyroid tiled time
    timed tissue tlspine tmax to tof tomosynthesis tone tongue tra trace tracew tracking
    transmission transmit transverse trig triggered trs trss true truncated trunk tspine ttp tube
    turbo two tx umol umolminml umolml unassigned undefined undetermined unfiltered uni unif uniform
    unilateral unkn unknown unspecified untagged upper us uterus vagina value velocity view virtual
    vmi vnc volren volume vrt vulva wall warp water wb wedge weighted whole wholebody wobble wrist
    xy xyz ybr yes zero
    """.split()
)
# Words in the names of manufacturers.
MAKERS: Final = frozenset(
    """
    ab accuray acme adac ag agfa analogic and aw brainlab bruker bv canon carestream cms co company
    corp corporation cti deutschland draw electric elekta elscint esaote fonar fuji fujifilm gdcm ge
    general gmbh healthcare healthineers hitachi imaging impac inc incorporated international kg
    kodak laboratories ltd magnetica manufacturer marconi mec medical mediso medtronic mela mim
    minfound mitra mridian ms netherlands neurologica neusoft nucletron nv of oy phantoms philips
    picker plc pnms raysearch reflexion samsung shimadzu siemens software solutions system systems
    technologies technology terarecon tomotherapy toshiba uih united unknown usa varian viewray xoft
    zeiss
    """.split()
)
# Kernels named by a word.
KERNELS: Final = frozenset(
    """
    abdomen admire advanced aice aidr algo allpass asir asirv bf bl blur body bone boneplus br brain
    brilliance butterworth bv cardiac cb chest chst clear cubic default detail ear eb ec edge
    enhanced fc filter first fl fr from fs gauss gaussian hann hanning hc hd head hf hp hr hv idose
    imr inner logan lung mediastinum medium moderate neck none pediatric pelvis plus qr ramp routine
    sa safire sb sc sharp sharpplus shepp smooth soft softplus spine standar standard std stnd
    tissue truefidelity ua ub uc ultra ur very xres xyz ya yb yc yd ye
    """.split()
)
_OF_TERMS: Final = frozenset("AttenuationCorrectionMethod ImagedNucleus RescaleType".split())
_OF_MAKERS: Final = frozenset({"Manufacturer", "ManufacturerModelName"})


def ordinary_words(keyword: str, vr: str, plain: str) -> frozenset[str]:
    """Return the words that identify nobody in an element; `plain` is its folded text."""
    if keyword == "ConvolutionKernel" and plain in KERNELS:
        return KERNELS
    if vr == "CS" or keyword in _OF_TERMS:
        return _COMMON_AND_TERMS
    return _COMMON_AND_MAKERS if keyword in _OF_MAKERS else COMMON


_COMMON_AND_TERMS: Final = COMMON | TERMS
_COMMON_AND_MAKERS: Final = COMMON | MAKERS
