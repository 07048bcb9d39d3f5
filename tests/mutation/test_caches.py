from drawcli.core.deid.profile import policy_for, table_of
from drawcli.core.dicom.sop_classes import CT_IMAGE
from tests.mutation.caches import forget_caches


def test_caches_of_drawcli_are_forgotten() -> None:
    policy_for(CT_IMAGE)
    forget_caches()
    assert policy_for.cache_info().currsize == table_of.cache_info().currsize == 0
