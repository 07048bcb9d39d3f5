"""The bounds of all input from outside, for the table in docs/explanation/limits.md.

Each bound is read from the code, so that the page agrees with it; a test checks that each named
test exists.
"""

from collections.abc import Iterator
from importlib import import_module
from typing import Final, NamedTuple

from drawcli.system.network.limit import KB, MB

BEGIN: Final = "<!-- bounds: written from the code by 'python -m tests.reference' -->"
END: Final = "<!-- end of bounds -->"
_AT_SERVER: Final = "system/limits.EXCHANGES"


class Row(NamedTuple):
    """One bound of one input."""

    what: str
    of: str  # what is bounded; "bytes" are shown as KiB or MiB if they are whole
    where: str  # module below drawcli and name: "core/dicom/header.DEEPEST", or a setting
    beyond: str
    test: str  # the test that gives an input within the bound and one beyond
    key: str = ""  # in a mapping, or the name of a field

    @property
    def value(self) -> int:
        """The bound, from the code."""
        module, _, name = self.where.rpartition(".")
        found = getattr(import_module(f"drawcli.{module.replace('/', '.')}"), name)
        if not self.key:
            return int(found)
        if isinstance(found, dict):
            return int(found[self.key].largest)
        return int(found.__dataclass_fields__[self.key].default)

    @property
    def bound(self) -> str:
        """The bound as the page shows it."""
        return in_words(self.value, self.of)


def in_words(value: int, of: str) -> str:
    """Return a bound in words.

    >>> in_words(1 << 20, "bytes"), in_words(128 << 10, "bytes"), in_words(1_000_000, "bytes")
    ('1 MiB', '128 KiB', '1,000,000 bytes')
    """
    if of == "bytes" and value % MB == 0:
        return f"{value // MB} MiB"
    if of == "bytes" and value % KB == 0:
        return f"{value // KB} KiB"
    return f"{value:,} {of}"


def _answer(what: str, key: str) -> Row:
    """Return the row of an answer of the DRAW server."""
    return Row(
        f"answer of the DRAW server: {what}",
        "bytes",
        _AT_SERVER,
        "not read further; handled like a missing answer",
        "tests/bounds/test_server.py::test_an_answer_has_a_bound_as_it_is_sent",
        key,
    )


_BLOCKED: Final = "held as `bad-structure-set`"
_NO_IMAGE: Final = "counted as `unreadable-dicom`, not sent"
_SERIES: Final = "the series is held"
_REFUSED: Final = "refused with a message"
_ABORTED: Final = "the association is aborted"
_GIVEN_UP: Final = "a later run tries again"
_SETS: Final = "tests/bounds/test_structure_sets.py"
_FILES: Final = "tests/bounds/test_files.py"
_PARTS: Final = "tests/bounds/test_parts.py"
_NETWORK: Final = "tests/bounds/test_network.py"
_GATE: Final = "core/gate/structure_set"

ROWS: Final = (
    _answer("health", "health"),
    _answer("catalogue", "models"),
    _answer("task", "status"),
    _answer("upload", "upload"),
    _answer("confirmation", "confirm"),
    _answer("tokens", "refresh"),
    Row(
        "any of these, decompressed",
        "bytes",
        _AT_SERVER,
        "the same; the bound holds before and after decompression",
        "tests/bounds/test_server.py::test_an_answer_has_the_same_bound_decompressed",
        "status",
    ),
    Row(
        "body of an error of the DRAW server",
        "bytes",
        "system/limits.REFUSAL_BYTES",
        "not read further",
        "tests/bounds/test_server.py::test_an_answer_has_the_same_bound_decompressed",
    ),
    Row(
        "RTSTRUCT",
        "bytes",
        _AT_SERVER,
        _BLOCKED,
        "tests/bounds/test_server.py::test_a_structure_set_has_a_bound_before_anything_of_it_is_read",
        "rtstruct",
    ),
    Row(
        "RTSTRUCT, one item",
        "elements",
        "core/gate/strict_reader._MOST_ELEMENTS",
        _BLOCKED,
        f"{_SETS}::test_elements_of_an_item",
    ),
    Row(
        "RTSTRUCT",
        "nested sequences",
        "core/gate/strict_reader._DEEPEST",
        _BLOCKED,
        f"{_SETS}::test_nesting",
    ),
    Row(
        "RTSTRUCT",
        "items",
        f"{_GATE}._MOST_ITEMS",
        _BLOCKED,
        "tests/core/gate/test_structure_set.py::test_a_flood_of_items_fills_no_memory",
    ),
    Row(
        "RTSTRUCT",
        "structures",
        f"{_GATE}._MOST_STRUCTURES",
        _BLOCKED,
        f"{_SETS}::test_structures",
    ),
    Row(
        "RTSTRUCT",
        "images",
        f"{_GATE}._MOST_IMAGES",
        _BLOCKED,
        "tests/core/gate/test_structure_set.py::test_a_flood_of_items_fills_no_memory",
    ),
    Row(
        "RTSTRUCT",
        "contours",
        "core/rtstruct/contour_table.MOST_CONTOURS",
        "held as `contour-tangled`",
        f"{_SETS}::test_contours",
    ),
    Row(
        "RTSTRUCT",
        "points",
        "core/rtstruct/contour_table.MOST_POINTS",
        "held as `contour-tangled`",
        f"{_SETS}::test_points_of_all_contours",
    ),
    Row(
        "RTSTRUCT, one contour",
        "points",
        "core/gate/acceptance._MOST_POINTS",
        "held as `contour-values`",
        f"{_SETS}::test_points_of_a_contour",
    ),
    Row(
        "header of an image",
        "bytes",
        "core/dicom/streaming.LARGEST_HEADER",
        "counted as `truncated-header`, not sent",
        f"{_FILES}::test_bytes_of_a_header",
    ),
    Row(
        "header of an image",
        "elements",
        "core/dicom/header._MOST_ELEMENTS",
        _NO_IMAGE,
        f"{_FILES}::test_elements_of_a_header",
    ),
    Row(
        "header of an image",
        "elements and items at all depths",
        "core/dicom/layout_reader.MOST_PARTS",
        _NO_IMAGE,
        f"{_PARTS}::test_parts_of_an_image",
    ),
    Row(
        "header of an image, read by the gate",
        "elements and items at all depths",
        "core/gate/whole_elements._MOST_PARTS",
        "the series is held as `series-refused`",
        f"{_PARTS}::test_parts_of_a_source_of_the_gate",
    ),
    Row(
        "header of an image",
        "nested sequences",
        "core/dicom/header.DEEPEST",
        _NO_IMAGE,
        f"{_FILES}::test_nesting_of_a_header",
    ),
    Row(
        "series, an element of a rule that differs between the slices",
        "values, of each item for each slice",
        "adapters/datastore/series_elements.MOST_DIFFERING",
        _SERIES,
        "tests/adapters/datastore/test_rule_header.py::"
        "test_values_that_differ_between_slices_have_a_bound",
    ),
    Row(
        "image that is converted or inflated",
        "bytes",
        "core/dicom/conversion.LARGEST",
        _NO_IMAGE,
        "tests/core/dicom/test_conversion.py::test_a_deflate_bomb_is_not_inflated",
    ),
    Row(
        "compressed image",
        "fragments",
        "core/frames/fragments._MOST_FRAGMENTS",
        _SERIES,
        f"{_NETWORK}::test_fragments_of_pixels",
    ),
    Row(
        "frame that is decompressed",
        "bytes",
        "core/frames/decoding.LARGEST_FRAME",
        _SERIES,
        f"{_FILES}::test_bytes_of_a_decoded_frame",
    ),
    Row(
        "`qa`: structures of two files whose names do not pair",
        "pairs that are compared by their contours",
        "core/qa/pairing.MOST_COMPARED",
        "they are paired by names only",
        "tests/core/qa/test_hostile.py::test_very_many_structures_are_paired_by_names_only",
    ),
    Row(
        "YAML file (settings, rules, templates)",
        "bytes",
        "system/yaml_read._LARGEST_FILE",
        "exit 3",
        f"{_FILES}::test_bytes_of_a_yaml_file",
    ),
    Row(
        "YAML file, aliases expanded",
        "values",
        "system/yaml_read._MOST_VALUES",
        "exit 3",
        f"{_FILES}::test_values_of_a_yaml_file",
    ),
    Row(
        "YAML file",
        "as the largest whole number without quotes",
        "system/yaml_read._LARGEST_WHOLE",
        "exit 3",
        f"{_FILES}::test_whole_numbers_of_a_yaml_file",
    ),
    Row(
        "YAML file",
        "lists and mappings within each other",
        "system/yaml_read._DEEPEST",
        "exit 3",
        f"{_FILES}::test_nesting_of_a_yaml_file",
    ),
    Row(
        "zip",
        "members",
        "adapters/datastore/zips.Bounds",
        "refused as `zip-too-large`",
        f"{_FILES}::test_members_of_a_zip",
        "most_members",
    ),
    Row(
        "zip, list of members",
        "bytes",
        "adapters/datastore/zips.Bounds",
        "refused as `zip-too-large`",
        f"{_FILES}::test_list_of_members_of_a_zip",
        "most_directory",
    ),
    Row(
        "zip above 64 MiB",
        "times its size unpacked",
        "adapters/datastore/zips.Bounds",
        "refused as `zip-too-large`",
        f"{_FILES}::test_compression_of_a_zip",
        "most_ratio",
    ),
    Row(
        "`gate`: a member of the package",
        "bytes",
        "adapters/gate/package_search._LARGEST_MEMBER",
        "exit 2",
        f"{_FILES}::test_member_of_a_package",
    ),
    Row(
        "database dump of a former client",
        "bytes",
        "authoring/former_records._LARGEST",
        _REFUSED,
        f"{_FILES}::test_export_of_a_former_client",
    ),
    Row(
        "history of a former client",
        "bytes",
        "adapters/state/former_client._LARGEST",
        "exit 3",
        f"{_FILES}::test_history_of_a_former_client",
    ),
    Row(
        "template of Eclipse",
        "bytes",
        "core/templates/eclipse._LARGEST",
        _REFUSED,
        f"{_FILES}::test_template_of_eclipse",
    ),
    Row(
        "`scan --from-list`",
        "bytes",
        "cli/scan_command.LARGEST_LIST",
        "exit 2",
        f"{_FILES}::test_list_of_paths",
    ),
    Row(
        "`token set`",
        "bytes",
        "cli/token_commands.LARGEST",
        "exit 2",
        f"{_FILES}::test_file_of_tokens",
    ),
    Row(
        "`key restore`",
        "bytes",
        "operations/keys.LARGEST_BACKUP",
        "exit 3",
        f"{_FILES}::test_backup_of_keys",
    ),
    Row(
        "output of a token command",
        "bytes",
        _AT_SERVER,
        "exit 3; the program is killed",
        "tests/test_exchanges.py::test_a_token_command_is_bounded",
        "token-command",
    ),
    Row(
        "output of git",
        "bytes",
        _AT_SERVER,
        "the commit is not recorded",
        "tests/test_exchanges.py::test_git_is_bounded_and_its_word_is_no_commit",
        "git",
    ),
    Row(
        "answer of an identity provider",
        "bytes",
        _AT_SERVER,
        "no login",
        "tests/dashboard/access/test_single_sign_on.py::test_a_document_that_is_too_large_is_not_read",
        "login",
    ),
    Row(
        "summary of another site, for the group view",
        "bytes",
        _AT_SERVER,
        "the site is shown as unknown",
        "tests/operations/group/test_sites.py::test_pushed_files_are_sites_and_the_worst_is_first",
        "group-site",
    ),
    Row(
        "`group.folder`",
        "sites",
        "adapters/site_status/pushed_files._MOST",
        "the others are not read, and the page says so",
        "tests/operations/group/test_sites.py::test_files_of_sites_have_a_bound",
    ),
    Row(
        "rule: name",
        "characters",
        "core/rules/conditions.LONGEST_NAME",
        "exit 3",
        "tests/bounds/test_files.py::test_name_of_a_rule",
    ),
    Row(
        "rule: pattern of `matches`",
        "characters",
        "core/rules/operators._LONGEST_PATTERN",
        "exit 3",
        "tests/bounds/test_files.py::test_pattern_of_a_rule",
    ),
    Row(
        "web page: connections at once",
        "connections",
        "system/limits.PAGE_CONNECTIONS",
        "the one that has waited longest is closed",
        "tests/dashboard/test_hostile_browsers.py::test_over_tls_a_newcomer_gets_in_beside_many_that_do_not_speak_it",
    ),
    Row(
        "`receive`: connections without an association",
        "connections",
        "system/limits.RECEIVE_WAITING",
        "the one that has waited longest is closed",
        "tests/adapters/dicom_network/test_listener.py::"
        "test_thousands_of_silent_connections_keep_nobody_out",
    ),
    Row(
        "`receive`: association request, or PDU",
        "bytes",
        "system/limits.RECEIVE_PDU_BYTES",
        _ABORTED,
        f"{_NETWORK}::test_length_of_a_pdu",
    ),
    Row(
        "`receive`: command set",
        "bytes",
        "system/limits.RECEIVE_COMMAND_BYTES",
        _ABORTED,
        f"{_NETWORK}::test_command_set_of_a_request",
    ),
    Row(
        "`receive`: fragments below 64 bytes in one message",
        "fragments",
        "system/limits.RECEIVE_SMALL_FRAGMENTS",
        _ABORTED,
        f"{_NETWORK}::test_small_fragments_of_a_message",
    ),
    Row(
        "`receive`: presentation contexts",
        "contexts",
        "core/dicom_service/association_request.MOST_CONTEXTS",
        _ABORTED,
        "tests/core/dicom_service/test_association_request.py::"
        "test_thousands_of_contexts_are_refused_at_the_first_that_is_too_many",
    ),
    Row(
        "`receive`: an object (`receive.largest_gib`)",
        "bytes",
        _AT_SERVER,
        "the association is aborted, nothing of the object is stored",
        "tests/adapters/dicom_network/test_listener.py::"
        "test_an_object_beyond_the_limit_is_aborted_and_removed",
        "receive-object",
    ),
    Row(
        "`receive`: objects of a known UID with other bytes",
        "objects",
        "system/limits.RECEIVE_CONFLICTS",
        "further ones are refused",
        "tests/adapters/receive_folder/test_folder.py::test_objects_kept_apart_are_few_and_once",
    ),
    Row(
        "answer of a node or DICOMweb archive to a structure set",
        "bytes",
        "system/limits.NODE_ANSWER_BYTES",
        "the job waits",
        "tests/adapters/dicom_network/test_association.py::"
        "test_a_flood_takes_no_memory_and_no_thread_is_left",
    ),
    Row(
        "`pull`: one answer by C-FIND",
        "bytes",
        "system/network/pull_limits.PULL_ANSWER_BYTES",
        _GIVEN_UP,
        "tests/adapters/archive/test_dimse_archive.py::test_an_answer_without_end_is_given_up",
    ),
    Row(
        "`pull`: page of answers by QIDO-RS",
        "bytes",
        "system/network/pull_limits.PULL_PAGE_BYTES",
        _GIVEN_UP,
        "tests/adapters/archive/test_web_archive.py::test_an_answer_without_end_is_given_up",
    ),
    *(
        Row(
            f"`pull`: {what}",
            of,
            f"system/network/pull_limits.{name}",
            _GIVEN_UP,
            f"tests/adapters/archive/test_web_archive.py::{test}",
        )
        for what, of, name, test in (
            (
                "answers about studies",
                "studies",
                "PULL_STUDIES",
                "test_studies_and_their_series_have_a_bound",
            ),
            (
                "answers about the series of a study",
                "series",
                "PULL_SERIES",
                "test_studies_and_their_series_have_a_bound",
            ),
            (
                "series of all studies",
                "series",
                "PULL_ALL_SERIES",
                "test_series_of_all_studies_have_a_bound",
            ),
        )
    ),
    Row(
        "`pull`: answers about the images of a series",
        "images",
        "system/network/pull_limits.PULL_INSTANCES",
        _GIVEN_UP,
        "tests/adapters/archive/test_web_archive.py::test_millions_of_answers_are_refused",
    ),
    Row(
        "`pull`: an object (`receive.largest_gib`)",
        "bytes",
        _AT_SERVER,
        _GIVEN_UP,
        "tests/adapters/archive/test_dimse_archive.py::test_an_object_above_the_limit_is_given_up",
        "pull-object",
    ),
    Row(
        "`pull`: objects that were not requested",
        "objects",
        "system/network/pull_limits.PULL_UNEXPECTED",
        _GIVEN_UP,
        "tests/pipeline/pull/test_hostile.py::test_images_that_are_there_do_not_count_as_unasked_for",
    ),
    Row(
        "web page: head of a request",
        "bytes",
        "system/limits.PAGE_HEAD_BYTES",
        "refused, the connection is closed",
        "tests/dashboard/test_hostile_browsers.py::"
        "test_a_head_without_end_is_refused_before_it_fills_anything",
    ),
    Row(
        "web page: path of a request",
        "bytes",
        "dashboard/access/request_guard._LONGEST_PATH",
        "400",
        f"{_NETWORK}::test_address_of_a_request",
    ),
    Row(
        "web page: query of a request",
        "bytes",
        "dashboard/access/request_guard._LONGEST_QUERY",
        "400",
        f"{_NETWORK}::test_address_of_a_request",
    ),
    Row(
        "web page: form",
        "bytes",
        "system/limits.PAGE_FORM_BYTES",
        "413",
        "tests/dashboard/access/test_request_guard.py::test_a_form_that_is_too_large_is_not_read",
    ),
    Row(
        "web page: form with many jobs",
        "bytes",
        "system/limits.PAGE_MANY_BYTES",
        "413",
        "tests/dashboard/find/test_held.py::test_its_form_may_be_larger_than_others_and_is_bounded",
    ),
    Row(
        "web page: text of a rule or template",
        "bytes",
        "system/limits.PAGE_EDIT_BYTES",
        "413",
        "tests/dashboard/editing/test_rule_pages.py::test_a_form_has_a_largest_size",
    ),
    Row(
        "web page: event streams at once",
        "streams",
        "system/limits.PAGE_STREAMS",
        "the page shows that it is not live",
        "tests/dashboard/test_hostile_browsers.py::test_no_more_streams_than_the_limit_also_at_once",
    ),
)


def bounds() -> str:
    """Return the table of docs/explanation/limits.md."""
    return "\n".join([BEGIN, "", *_lines(), "", END])


def _lines() -> Iterator[str]:
    yield "| input | bound | in | beyond | test |"
    yield "|---|---|---|---|---|"
    for row in ROWS:
        name = f"{row.where}[{row.key}]" if row.key else row.where
        yield f"| {row.what} | {row.bound} | `{name}` | {row.beyond} | `{row.test}` |"
