import pytest

from drawcli.sandbox.template import BadTemplate, read_template


def test_a_good_template_names_its_structures_in_order(template: str) -> None:
    read = read_template(template.encode())

    assert read.name == "Prostate_OAR"
    assert read.structures == ("Bladder", "Rectum", "Body")


def test_a_structure_may_be_renamed(template: str) -> None:
    read = read_template(template.replace("2: Rectum", "2: Anorectum").encode())

    assert read.structures == ("Bladder", "Anorectum", "Body")


def test_a_structure_that_no_model_draws_comes_back_empty(template: str) -> None:
    read = read_template(template.replace("2: Rectum", "99: Rectum").encode())

    assert read.structures == ("Bladder", "Rectum", "Body")
    assert read.undrawn == {1}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("postprocess: null", "postprocess: 'null'"),  # as the second client writes it
        ("postprocess: null", "postprocess: ''"),
        ("name: Prostate_OAR", "name: Example Prostate Template"),
        ("name: Prostate_OAR", "name: Próstata, 3 mm"),
    ],
)
def test_what_the_job_reads_although_drawcli_does_not_write_it(
    template: str, old: str, new: str
) -> None:
    assert read_template(template.replace(old, new).encode()).structures


def test_one_name_twice_is_two_structures_as_at_the_real_server(template: str) -> None:
    read = read_template(template.replace("2: Rectum", "2: Bladder").encode())

    assert read.structures == ("Bladder", "Bladder", "Body")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("  720:", "  720.0:", "not an integer above 10"),
        ("  720:", "  '720':", "not an integer above 10"),
        ("  720:", "  true:", "not an integer above 10"),
        ("  720:", "  10:", "not an integer above 10"),
        ("  720:", "  721:", "no such model"),
        ("{1: Bladder", "{1.0: Bladder", "not an integer above 0"),
        ("{1: Bladder", "{'1': Bladder", "not an integer above 0"),
        ("{1: Bladder", "{true: Bladder", "not an integer above 0"),
        ("{1: Bladder", "{0: Bladder", "not an integer above 0"),
        ("{1: Bladder", "{1: 7", "the name is not text"),
        ("{1: Bladder, 2: Rectum, 10: Body}", "{}", "at least one structure"),
        ("postprocess: null", "postprocess: a/b.pkl", "there is no such file"),
        ("postprocess: null", "postprocess: 3", "neither text nor null"),
        ("    postprocess: null\n", "", "missing key postprocess"),
        ("    postprocess: null", "    postprocess: null\n    fold: 0", "unknown key fold"),
        ("protocol: DRAW", "protocol: DRAW\nversion: 2", "unknown key version"),
        ("protocol: DRAW\n", "", "missing key protocol"),
        ("protocol: DRAW", "protocol: 1", "protocol: not text"),
        ("name: Prostate_OAR", "name: ../etc", "name: not 1 to 128"),
        ("name: Prostate_OAR", "name: A/B", "name: not 1 to 128"),
        ("name: Prostate_OAR", 'name: ""', "name: not 1 to 128"),
        ("name: Prostate_OAR", f"name: {'x' * 129}", "name: not 1 to 128"),
        ("name: TSPrime", "name: TSSecond", "model 720 has TSPrime"),
        ("3d_fullres", "2d", "model 720 has 3d_fullres"),
        ("nnUNetTrainerNoMirroring", "nnUNetTrainer", "model 720 has nnUNetTrainerNoMirroring"),
    ],
)
def test_what_the_gpu_job_would_die_of_is_refused(
    template: str, old: str, new: str, reason: str
) -> None:
    assert old in template

    with pytest.raises(BadTemplate, match=reason):
        read_template(template.replace(old, new, 1).encode())


@pytest.mark.parametrize(
    "text",
    [b"", b"- a", b"name: [", b"\xff\xfe\x00", b"models: {}\nname: a\nprotocol: b", b"[" * 600],
)
def test_what_is_no_template_at_all_is_refused(text: bytes) -> None:
    with pytest.raises(BadTemplate):
        read_template(text)
