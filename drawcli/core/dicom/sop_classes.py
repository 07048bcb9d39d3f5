"""The SOP classes of planning images (PS3.4 B.5), with their modality."""

from typing import Final

CT_IMAGE: Final = "1.2.840.10008.5.1.4.1.1.2"
MR_IMAGE: Final = "1.2.840.10008.5.1.4.1.1.4"
PT_IMAGE: Final = "1.2.840.10008.5.1.4.1.1.128"
ENHANCED_CT: Final = "1.2.840.10008.5.1.4.1.1.2.1"
ENHANCED_MR: Final = "1.2.840.10008.5.1.4.1.1.4.1"
ENHANCED_PT: Final = "1.2.840.10008.5.1.4.1.1.130"
CONVERTED_CT: Final = "1.2.840.10008.5.1.4.1.1.2.2"
CONVERTED_MR: Final = "1.2.840.10008.5.1.4.1.1.4.4"
CONVERTED_PT: Final = "1.2.840.10008.5.1.4.1.1.128.1"
MULTI_FRAME: Final = {
    ENHANCED_CT: "CT",
    ENHANCED_MR: "MR",
    ENHANCED_PT: "PT",
    CONVERTED_CT: "CT",
    CONVERTED_MR: "MR",
    CONVERTED_PT: "PT",
}
IMAGE_CLASSES: Final = {CT_IMAGE: "CT", MR_IMAGE: "MR", PT_IMAGE: "PT", **MULTI_FRAME}
