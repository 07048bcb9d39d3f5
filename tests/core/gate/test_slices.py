"""The slices that a source must be in a package: its pixels, geometry and scaling, each once."""

import io
from collections.abc import Iterable, Iterator

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEGLSLossless, RLELossless

from drawcli.core.gate.pydicom_elements import PIXEL_DATA
from drawcli.core.gate.slices import (
    PackageForm,
    SourceSlice,
    contradicts,
    digest_of_slice,
    slices_of,
)
from tests.core.files import CT, as_bytes, ct_slice, item

ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
NATIVE = PackageForm(CT, ExplicitVRLittleEndian)
SIDE = 15  # rows and columns: an odd number of bytes
SIZE = {"Rows": SIDE, "Columns": SIDE, "BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}
PICTURES = [bytes(SIDE * [start]) + bytes(range(SIDE)) * (SIDE - 1) for start in (0, 100, 200)]
PER_FRAME, SHARED = 0x52009230, 0x52009229


def read(raw: bytes, **reading: object) -> Dataset:
    return dcmread(io.BytesIO(raw), **reading)  # type: ignore[arg-type] # any option


def enhanced(pictures: Iterable[bytes] = PICTURES, **values: object) -> Dataset:
    """Return a multi-frame image; `values` replace or add elements."""
    frames = [
        item(
            FrameContentSequence=[item(InStackPositionNumber=number)],
            PlanePositionSequence=[item(ImagePositionPatient=["0", "0", f"{number}.0"])],
        )
        for number, _ in enumerate(pictures, start=1)
    ]
    shared = item(
        PixelMeasuresSequence=[item(PixelSpacing=["1", "1"], SliceThickness="3")],
        PlaneOrientationSequence=[item(ImageOrientationPatient=["1", "0", "0", "0", "1", "0"])],
        PixelValueTransformationSequence=[
            item(RescaleIntercept="-1024", RescaleSlope="1", RescaleType="HU")
        ],
    )
    source = ct_slice(
        SOPClassUID=ENHANCED_CT,
        NumberOfFrames=len(frames),
        SharedFunctionalGroupsSequence=[shared],
        PerFrameFunctionalGroupsSequence=frames,
        PixelData=b"".join(pictures) + bytes(sum(map(len, pictures)) % 2),
        **SIZE,
    )
    for keyword in """ImagePositionPatient ImageOrientationPatient PixelSpacing SliceThickness
                      RescaleIntercept RescaleSlope""".split():
        delattr(source, keyword)
    for keyword, value in values.items():
        setattr(source, keyword, value)
    return source


def split(number: int, **values: object) -> Dataset:
    """Return the slice of a frame as it must be in the package."""
    usual: dict[str, object] = {
        "PixelData": PICTURES[number - 1] + b"\0",
        "ImagePositionPatient": ["0", "0", f"{number}.0"],
        "PixelSpacing": ["1", "1"],
        "SliceThickness": "3",
        **SIZE,
    }
    return read(as_bytes(ct_slice(**usual | values)))


def slices(raw: bytes, form: PackageForm = NATIVE, **reading: object) -> list[SourceSlice]:
    return list(slices_of(read(raw, **reading), lambda: io.BytesIO(raw), form))


def digests(raw: bytes, form: PackageForm = NATIVE, **reading: object) -> list[bytes]:
    return [one.digest for one in slices(raw, form, **reading)]


@pytest.mark.parametrize("syntax", ["explicit", "implicit"])
def test_each_frame_is_the_slice_with_its_pixels_and_geometry(syntax: str) -> None:
    found = digests(as_bytes(enhanced(), syntax))

    assert found == [digest_of_slice(split(number)) for number in (1, 2, 3)]
    assert found[0] != digest_of_slice(split(1, PixelData=PICTURES[1] + b"\0"))


@pytest.mark.filterwarnings("ignore:Invalid value")
@pytest.mark.parametrize(
    "other",
    [
        *({"ImagePositionPatient": ["0", "0", "1.5"]}, {"PixelSpacing": ["1", "2"]}),
        *({"SliceThickness": "2"}, {"RescaleSlope": "2"}, {"RescaleIntercept": "0"}),
        *({"Rows": 5, "Columns": 45}, {"BitsStored": 7}, {"HighBit": 6}, {"SamplesPerPixel": 3}),
        *({"PixelRepresentation": 1}, {"PixelPaddingValue": 0}, {"FrameOfReferenceUID": ""}),
        *({"PhotometricInterpretation": "MONOCHROME1"}, {"SliceThickness": ""}),
        *({"PhotometricInterpretation": f"{end}MONOCHROME2{end}"} for end in "X\n"),
        {"ImageOrientationPatient": ["0", "1", "0", "1", "0", "0"]},
    ],
    ids=str,
)
def test_a_slice_with_another_value_is_another_slice(other: dict[str, object]) -> None:
    assert digest_of_slice(split(1, **other)) != digest_of_slice(split(1))


def test_the_frame_of_reference_and_other_elements_may_differ() -> None:
    same = split(1, FrameOfReferenceUID="2.25.7", InstanceNumber="9", KVP="100")

    assert digest_of_slice(same) == digest_of_slice(split(1))


def test_a_slice_has_the_tags_of_its_frame_and_no_others() -> None:
    first, *_ = slices(as_bytes(enhanced()))

    assert {0x00200032, 0x00281052, 0x00280030, 0x00200037, 0x00100010} <= first.tags
    assert 0x00280010 in first.tags
    assert first.others == {0x00209111, 0x00209113, 0x00209116, 0x00289110, 0x00289145, 0x00209057}


def test_a_frame_has_a_number_and_facts() -> None:
    facts = [one.facts for one in slices(as_bytes(enhanced(SliceLocation="7.5")))]

    assert (
        facts == [(b"%d" % number, b"HU", b"", b"7.5", b"HFS") for number in (1, 2, 3)]
        or [(b"%d" % number, b"HU", b"", b"7.5", b"") for number in (1, 2, 3)] == facts
    )


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"InstanceNumber": "2", "RescaleType": "HU", "SliceLocation": "7.5"}, False),
        ({"InstanceNumber": "", "RescaleType": "HU"}, False),
        ({"InstanceNumber": "2"}, False),
        ({"InstanceNumber": "3"}, True),
        ({"InstanceNumber": "2", "RescaleType": "US"}, True),
        ({"InstanceNumber": "2", "SpacingBetweenSlices": "3"}, True),
        ({"InstanceNumber": "2", "SliceLocation": "7.50"}, True),
        ({"InstanceNumber": "2", "PatientPosition": "FFS"}, True),
    ],
)
def test_a_slice_contradicts_its_frame_by_another_value(
    values: dict[str, object], *, expected: bool
) -> None:
    dataset = read(as_bytes(ct_slice(**values)))

    assert contradicts(dataset, (b"2", b"HU", b"", b"7.5", b"HFS")) is expected
    assert not contradicts(dataset, ())


def test_a_frame_has_the_value_of_its_group_before_that_of_the_image() -> None:
    unassigned = item(ImagePositionPatient=["0", "0", "9"], SliceThickness="9")
    shared = [item(UnassignedSharedConvertedAttributesSequence=[unassigned])]
    alone = enhanced(
        SharedFunctionalGroupsSequence=shared,
        SliceThickness="3",
        ImageOrientationPatient=["1", "0", "0", "0", "1", "0"],
        RescaleIntercept="-1024",
        RescaleSlope="1",
        PixelSpacing=["1", "1"],
    )
    # a value of a group; of the image, before an unassigned one; and none of the image
    assert digests(as_bytes(alone))[0] == digest_of_slice(split(1))
    del alone.SliceThickness
    assert digests(as_bytes(alone))[0] == digest_of_slice(split(1, SliceThickness="9"))


def test_a_value_of_a_group_is_before_one_of_the_image() -> None:
    both = enhanced(SliceThickness="9", PixelSpacing=["9", "9"], RescaleSlope="9")

    assert digests(as_bytes(both))[0] == digest_of_slice(split(1))


def test_a_source_without_functional_groups_is_one_slice() -> None:
    raw = as_bytes(ct_slice(SpacingBetweenSlices="3"))

    (found,) = slices(raw)

    assert found.digest == digest_of_slice(read(raw))
    assert found.others == frozenset()
    assert found.facts == (b"1", b"", b"3", b"", b"")


@pytest.mark.parametrize("syntax", ["explicit", "implicit"])
def test_an_element_without_a_value_has_none(syntax: str) -> None:
    raw = as_bytes(ct_slice(SliceLocation="", FrameOfReferenceUID="", SliceThickness=""), syntax)
    without = ct_slice()
    del without.FrameOfReferenceUID, without.SliceThickness

    (found,) = slices(raw)

    assert found.facts == (b"1", b"", b"", b"", b"")
    assert found.digest == digest_of_slice(read(as_bytes(without)))


def test_a_slice_without_pixel_data_has_no_pixels() -> None:
    one = split(1)
    del one.PixelData
    empty, full = (digest_of_slice(split(1, PixelData=raw)) for raw in (b"", b"XXXX"))

    assert digest_of_slice(one) == empty != full


@pytest.mark.parametrize("keyword", ["Rows", "Columns"])
def test_a_source_without_its_size_has_no_pixels(keyword: str) -> None:
    one = ct_slice(PixelData=b"ABCDEFGH")
    delattr(one, keyword)
    raw = as_bytes(one)
    one.PixelData = b""

    assert digests(raw) == [digest_of_slice(read(as_bytes(one)))]


def test_truncated_pixels_match_no_slice() -> None:
    short = enhanced(PixelData=PICTURES[0] + PICTURES[1])

    found = digests(as_bytes(short))

    assert found[:2] == [digest_of_slice(split(number)) for number in (1, 2)]
    assert found[2] not in {digest_of_slice(split(3, PixelData=raw)) for raw in (b"", b"\0")}


def test_large_pixels_are_read_from_the_file() -> None:
    pictures = [bytes([number]) * SIDE**2 for number in range(12)]
    raw = as_bytes(enhanced(pictures))
    opened: list[io.BytesIO] = []

    def open_source() -> io.BytesIO:
        opened.append(io.BytesIO(raw))
        return opened[-1]

    found = [one.digest for one in slices_of(read(raw, defer_size=1000), open_source, NATIVE)]

    assert found == digests(raw)
    assert [stream.closed for stream in opened] == [True]
    assert read(raw, defer_size=1000).get_item(PIXEL_DATA, keep_deferred=True).value is None


def test_big_endian_numbers_and_pixels_are_those_of_little_endian() -> None:
    wide = {"BitsAllocated": 16, "BitsStored": 16, "HighBit": 15, "PixelPaddingValue": 258}
    out = io.BytesIO()
    ct_slice(PixelData=b"ABCDEFGH", **wide).save_as(out, implicit_vr=False, little_endian=False)
    source = read(out.getvalue(), force=True)
    source.set_original_encoding(False, False)  # noqa: FBT003 - explicit VR, big endian
    little = read(as_bytes(ct_slice(PixelData=b"BADCFEHG", **wide)))

    (found,) = slices_of(source, io.BytesIO, NATIVE)

    assert found.digest == digest_of_slice(little)


def compressed(source: Dataset, syntax: str) -> bytes:
    raw = as_bytes(source)
    image = read(raw)
    image.compress(syntax, generate_instance_uid=False)
    out = io.BytesIO()
    image.save_as(out)
    return out.getvalue()


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless])
@pytest.mark.parametrize("signed", [False, True])
def test_pixels_are_decoded_for_a_package_without_compression(syntax: str, *, signed: bool) -> None:
    values = np.repeat(np.linspace(0, 4095, SIDE).astype(np.int16), SIDE)
    if signed:
        values -= 2048
    layout: dict[str, object] = {**SIZE, "BitsAllocated": 16, "BitsStored": 12, "HighBit": 11}
    layout |= {"PixelRepresentation": int(signed), "PixelData": values.tobytes()}

    (found,) = digests(compressed(ct_slice(**layout), syntax))

    assert found == digest_of_slice(read(as_bytes(ct_slice(**layout))))


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless])
def test_frames_are_decoded_one_by_one(syntax: str) -> None:
    raw = compressed(enhanced(), syntax)

    assert digests(raw) == [digest_of_slice(split(number)) for number in (1, 2, 3)]


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless])
def test_frames_stay_compressed_in_a_package_of_their_syntax(syntax: str) -> None:
    found = digests(compressed(enhanced(), syntax), PackageForm(CT, syntax))

    assert found == [
        digest_of_slice(read(compressed(split(number), syntax))) for number in (1, 2, 3)
    ]
    assert len({*found}) == 3


@pytest.mark.parametrize("frames", [2, 4])
def test_an_image_has_as_many_pictures_as_frames(frames: int) -> None:
    image = read(compressed(enhanced(), RLELossless))
    image.PerFrameFunctionalGroupsSequence = [*image.PerFrameFunctionalGroupsSequence, item()]
    del image.PerFrameFunctionalGroupsSequence[frames:]
    out = io.BytesIO()
    image.save_as(out)

    with pytest.raises(ValueError, match=r"zip\(\) argument 2 is (longer|shorter)"):
        digests(out.getvalue(), PackageForm(CT, RLELossless))


def test_a_frame_may_have_several_fragments() -> None:
    image = read(compressed(split(1), JPEGLSLossless))
    (frame,) = generate_frames(image.PixelData, number_of_frames=1)
    image.PixelData = encapsulate([frame], fragments_per_frame=2, has_bot=False)
    out = io.BytesIO()
    image.save_as(out)

    found = digests(out.getvalue(), PackageForm(CT, JPEGLSLossless))

    assert found == [digest_of_slice(read(out.getvalue()))]


class Decoder:
    """A decoder of pydicom that records its plugin."""

    def __init__(self, plugins: Iterable[str]) -> None:
        self.available_plugins = tuple(plugins)
        self.asked: list[str] = []

    def iter_array(self, _: object, *, decoding_plugin: str, **__: object) -> Iterator[object]:
        self.asked.append(decoding_plugin)
        yield np.zeros((2, 2)), {}


EVERY_PLUGIN = ("pyjpegls", "pylibjpeg", "gdcm")


@pytest.mark.parametrize(
    ("syntax", "plugins", "wanted"),
    [
        *((f"1.2.840.10008.1.2.4.{number}", EVERY_PLUGIN, "gdcm") for number in (57, 70, 80, 90)),
        *((f"1.2.840.10008.1.2.4.{number}", EVERY_PLUGIN, "pylibjpeg") for number in (51, 203)),
        (JPEGLSLossless, ("pyjpegls", "pylibjpeg"), "pylibjpeg"),
        (JPEGLSLossless, ("pyjpegls",), "pyjpegls"),
        ("1.2.840.10008.1.2.4.51", ("pyjpegls", "gdcm"), "gdcm"),
        (RLELossless, (), ""),
    ],
)
def test_lossless_pixels_are_decoded_by_other_code_than_that_of_the_engine(
    monkeypatch: pytest.MonkeyPatch, syntax: str, plugins: tuple[str, ...], wanted: str
) -> None:
    decoder = Decoder(plugins)
    monkeypatch.setattr("pydicom.pixels.get_decoder", {syntax: decoder}.__getitem__)
    image = read(as_bytes(ct_slice()))
    image.file_meta.TransferSyntaxUID = UID(syntax)

    (found,) = slices_of(image, io.BytesIO, NATIVE)

    assert decoder.asked == [wanted]
    assert found.digest == digest_of_slice(read(as_bytes(ct_slice())))


def test_a_package_has_the_form_of_its_first_slice() -> None:
    slice_ = read(as_bytes(ct_slice()))

    assert PackageForm.of(slice_) == PackageForm(CT, ExplicitVRLittleEndian)
    assert PackageForm.of(Dataset()) == PackageForm("", "")
    del slice_.file_meta
    assert PackageForm.of(slice_) == PackageForm(CT, "")
    assert PackageForm(CT, "").native
    assert not PackageForm(CT, RLELossless).native


@pytest.mark.parametrize(
    ("source", "form", "differs", "splits"),
    [
        (CT, NATIVE, False, False),
        (ENHANCED_CT, NATIVE, True, True),
        (ENHANCED_CT, PackageForm("1.2.840.10008.5.1.4.1.1.4", ""), False, False),
        (ENHANCED_CT, PackageForm(ENHANCED_CT, ""), False, False),
    ],
)
def test_the_frames_of_a_multi_frame_image_are_slices_in_a_package_of_their_class(
    source: str, form: PackageForm, *, differs: bool, splits: bool
) -> None:
    image = read(as_bytes(ct_slice(SOPClassUID=source)))

    assert (form.differs_from(image), form.splits(image)) == (differs, splits)
    assert form.class_of(image) == (CT if splits else source)
    assert PackageForm().class_of(Dataset()) == ""
    assert not PackageForm().splits(Dataset())


def test_a_compressed_source_differs_from_a_package_without_compression() -> None:
    image = read(compressed(ct_slice(), RLELossless))

    assert NATIVE.differs_from(image)
    assert not NATIVE.splits(image)
    assert not PackageForm(CT, RLELossless).differs_from(image)
