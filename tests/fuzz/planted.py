"""Faults that fuzzing must find: each is planted into a function while inputs are tried.

`test_planted.py` tries the inputs of the corpus, then those of the mutator. From the valid inputs
alone, `python -m tests.fuzz --planted` (atheris) found 13 of 16 faults within a minute and 5,600
inputs, and the mutator two of the other three (a character set that may be anything, a null
character as padding). For the third, an undefined length of any element, the corpus has an input.
"""

import ast
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from textwrap import dedent
from typing import Any, Final, NamedTuple


class Fault(NamedTuple):
    """One spoilt line, and within how many inputs of the mutator it is found."""

    target: str
    within: int
    place: str  # module below drawcli, and function
    right: str
    wrong: str


FAULTS: Final = {
    # --- structure sets
    "coordinates are in another order": Fault(
        *("structure_set", 20, "core.gate.acceptance:_of_json"),
        *("return numbers", "return numbers[::-1]"),
    ),
    "coordinates of any size are taken": Fault(
        *("structure_set", 500, "core.gate.acceptance:_are_near"),
        *("bool(values.min() > -_FARTHEST and values.max() < _FARTHEST)", "True"),
    ),
    "a contour has the coordinates of the one before": Fault(
        *("structure_set", 20, "core.gate.acceptance:_read_group"),
        *("values[first : first + count]", "values[:count]"),
    ),
    "an element twice is read once": Fault(
        *("structure_set", 20, "core.gate.strict_reader:DataSet._elements"),
        *("if tag <= latest or", "if tag < latest or"),
    ),
    "a length may be odd": Fault(
        *("structure_set", 500, "core.gate.strict_reader:DataSet._span"),
        *("if length % 2:", "if False:"),
    ),
    "any element may be of undefined length": Fault(
        *("acceptance_gate", 20, "core.gate.strict_reader:_may_be_sequence"),
        *('in ("SQ", "UN")', "is not None"),
    ),
    "a character set may be anything": Fault(
        *("acceptance_gate", 20, "core.gate.strict_reader:is_character_set"),
        *("return names[0] in _EXTENSIBLE | _ALONE", "return True"),
    ),
    "a null character before a value is padding": Fault(
        *("acceptance_gate", 20, "core.gate.strict_reader:_unpadded"),
        *('text.rstrip(" \\0").lstrip(" ")', 'text.strip(" \\0")'),
    ),
    "an image of another series passes": Fault(
        *("acceptance_gate", 500, "core.gate.structure_set_checks:_images"),
        *("if foreign:", "if False:"),
    ),
    "a number of a structure is used twice": Fault(
        *("acceptance_gate", 1000, "core.gate.structure_set_checks:_numbers"),
        *("    if twice:", "    if False:"),
    ),
    "the study is not compared": Fault(
        *("acceptance_gate", 20, "core.gate.structure_set_checks:_of_study"),
        *("found.study_uid != expected.study_uid or ", ""),
    ),
    # --- the server
    "a body is shorter than it states": Fault(
        *("server_download", 20, "adapters.server.download:Incoming._write"),
        *("if size and size - begun == (length or size - begun)", "if size"),
    ),
    "a download has another checksum": Fault(
        *("server_download", 20, "adapters.server.download:Incoming._check"),
        *('self.checksum not in ("", digest)', "False"),
    ),
    "a download is of any size": Fault(
        *("server_download", 20, "adapters.server.responses:iter_body"),
        *("max(came, total) > most", "False"),
    ),
    "an ETag beyond ASCII is sent back": Fault(
        *("server_download", 20, "adapters.server.download:Incoming.request_headers"),
        *(" and self._etag.isascii()", ""),
    ),
    "errors of HTTP/2 are not converted": Fault(
        *("server_answer_http_2", 20, "adapters.server.responses:_oddities"),
        *("return ValueError, LookupError, AssertionError, H2Error", "return (KeyError,)"),
    ),
    "a status of HTTP/2 that is no number is not converted": Fault(
        *("server_answer_http_2", 20, "adapters.server.responses:_oddities"),
        *("return ValueError, LookupError, AssertionError, H2Error", "return (H2Error,)"),
    ),
    "a status word may hold control characters": Fault(
        *("server_answer", 20, "core.protocol.task_status:_one_line"),
        *('plain(" ".join(text.split()))', '" ".join(text.split())'),
    ),
    "a model of the catalogue may have any id": Fault(
        *("server_answer", 1500, "core.templates.catalogue:parse_catalogue"),
        *('not _is_id(entry.get("model_id"))', "False"),
    ),
    # --- the DICOM network and archives
    "a context is offered twice": Fault(
        *("association_request", 20, "core.dicom_service.association_request:_add"),
        *("number in contexts", "False"),
    ),
    "a context is answered twice": Fault(
        *("association_answer", 20, "core.dicom.upper_layer:parse_acceptance"),
        *("if context in results:", "if False:"),
    ),
    "a fragment may be cut off": Fault(
        *("fragments", 20, "core.dicom.upper_layer:parse_fragments"),
        *("or end > len(body)", ""),
    ),
    "elements of a command may be in any order": Fault(
        *("command_set", 50, "core.dicom.dimse:command_elements"),
        *("or element <= latest ", ""),
    ),
    "a UID may be a path": Fault(
        *("data_set", 20, "core.dicom_service.identifiers:uid_text"),
        *("and _UID.fullmatch(text)", "and text.isascii()"),
    ),
    "an instance is reported twice": Fault(
        *("commitment_report", 20, "core.delivery.commitment:_listed"),
        *("or instance in found ", ""),
    ),
    "a command may be of any length": Fault(
        *("association", 200, "adapters.dicom_network.message_stream:MessageStream.command"),
        *("if len(content) > RECEIVE_COMMAND_BYTES:", "if False:"),
    ),
    "an answer of a query is about another study": Fault(
        *("find_answer", 50, "core.pull.answers:_check_same"),
        *("if named and named != asked:", "if False:"),
    ),
    "the UID of a QIDO answer may be anything": Fault(
        *("qido_json", 50, "core.pull.answers:_as_uid"),
        *('return uid_text(text.encode("ascii", "replace"))', "return text"),
    ),
    "a part ends where a piece of the body does": Fault(
        *("wado_multipart", 20, "core.pull.multipart:PartReader._content"),
        *("len(self._held) - len(self._delimiter)) > 0", "len(self._held)) > 0"),
    ),
    "a STOW answer is about another instance": Fault(
        *("stow_json", 20, "core.delivery.store_response:store_status"),
        *("_text(item, _INSTANCE) != sop_instance or ", ""),
    ),
    "XML may be nested without end": Fault(
        *("stow_xml", 20, "core.delivery.store_response:_read"),
        *("(ValueError, RecursionError, ET.ParseError)", "(RecursionError, ET.ParseError)"),
    ),
    # --- images
    "pixels end four bytes later": Fault(
        *("image_header", 200, "adapters.datastore.images:pixel_end"),
        *("else pixels.end\n", "else min(pixels.end + 4, size)\n"),
    ),
    "pixels of fragments end four bytes early": Fault(
        *("image_header", 20, "adapters.datastore.images:pixel_end"),
        *("    return end", "    return end - 4 * pixels.undefined"),
    ),
    "a difference of a slice is missed": Fault(
        *("header_difference", 20, "core.series.differing:HeaderModel.differing"),
        *("found[tags[at]] = None", "pass"),
    ),
    "a JPEG frame has two scans": Fault(
        *("jpeg_stream", 200, "core.dicom.codestream:_clean_jpeg"),
        *("seen.count(_SOS) != 1", "seen.count(_SOS) < 1"),
    ),
    "two scans of JPEG Lossless": Fault(
        *("jpeg_lossless_stream", 500, "core.dicom.codestream:_clean_jpeg"),
        *("seen.count(_SOS) != 1", "seen.count(_SOS) < 1"),
    ),
    "a comment of a JPEG frame stays": Fault(
        *("jpeg_stream", 20, "core.dicom.codestream:_clean_jpeg"),
        *("            overwrite(frame, at + _U16.size, end)", "            pass"),
    ),
    "bytes after a JPEG-LS frame stay": Fault(
        *("jpeg_ls_stream", 200, "core.dicom.codestream:_clean_jpeg"),
        *("            overwrite(frame, at, len(frame))\n            break", "            break"),
    ),
    "bytes between segments of JPEG 2000": Fault(
        *("jpeg_2000_stream", 20, "core.dicom.jpeg_2000:clean_jpeg_2000"),
        *("if at - start > _MARKER:", "if False:"),
    ),
    "bytes after the runs of RLE stay": Fault(
        *("rle_stream", 500, "core.dicom.codestream:_clean_rle"),
        *("frame[end:stop] = ", "_ = "),
    ),
    "a group changes the number of frames": Fault(
        *("functional_groups", 20, "core.frames.split:SplitImage._copied"),
        *("if tag in attributes.OF_ALL_PIXELS:", "if False:"),
    ),
    # --- zips and edited files
    "a zip is larger than its bound": Fault(
        *("one_off_zip", 20, "adapters.datastore.zips:_check_members"),
        *("if total > bounds.most_bytes:", "if False:"),
    ),
    "a zip has more members than its bound": Fault(
        *("one_off_zip", 500, "adapters.datastore.zips:_check_members"),
        *("if len(members) > bounds.most_members:", "if False:"),
    ),
    "a zip unpacks to many times its size": Fault(
        *("one_off_zip", 1000, "adapters.datastore.zips:_check_members"),
        *("total > bounds.calm_bytes and total > bounds.most_ratio * packed", "False"),
    ),
    "templates.yaml is only a number": Fault(
        *("templates_file", 20, "adapters.rulebook.rulebook:_section"),
        *("data if isinstance(data, dict) else ()", "data or ()"),
    ),
    # --- the former client
    "a history may hold anything": Fault(
        *("former_history", 20, "adapters.state.former_client:_is_nested"),
        *("and all(isinstance(one, Mapping) for one in part.values())", ""),
    ),
    "a figure of the history may be of any kind": Fault(
        *("former_history", 500, "adapters.state.former_client:_fits"),
        *("all(map(is_number, numbers))", "True"),
    ),
    "a rating may be a text": Fault(
        *("former_patients", 100, "authoring.former_history:_ratings"),
        *("isinstance(one, int) and is_number(one)", "one is not None"),
    ),
    "the worst outcome of a series stays": Fault(
        *("former_patients", 20, "authoring.former_history:history_of"),
        *('_RANK.index(entry["outcome"]) > ', '_RANK.index(entry["outcome"]) < '),
    ),
    "a series of an export is forgotten": Fault(
        *("former_patients", 20, "authoring.former_history:_series"),
        *('== "COMPLETE"', '== "COMPLETED"'),
    ),
    "the assessor of a structure set is kept": Fault(
        *("former_patients", 20, "authoring.former_history:_ratings"),
        *('"structures": structures}', '"structures": {record.get("assessor_name"): ""}}'),
    ),
    "a day that is none is an error": Fault(
        *("former_patients", 20, "authoring.former_history:_moment"),
        *("except ValueError:", "except KeyError:"),
    ),
    "an export may be nested without end, or no JSON": Fault(
        *("former_export", 20, "authoring.former_records:read_entries"),
        *("except ValueError:", "except KeyError:"),
    ),
}


@contextmanager
def planted(fault: Fault) -> Iterator[None]:
    """Spoil a function, wherever it was imported; restore it afterwards."""
    found = _found_at(fault.place)
    forget = getattr(found, "cache_clear", int)
    function = inspect.unwrap(found)
    usual = function.__code__
    function.__code__ = _spoilt(function, fault)
    forget()
    try:
        yield
    finally:
        function.__code__ = usual
        forget()


def _found_at(place: str) -> Any:
    module, _, names = place.partition(":")
    found: Any = import_module(f"drawcli.{module}")
    for name in names.split("."):
        found = inspect.getattr_static(found, name)
    return getattr(found, "__func__", getattr(found, "fget", found))


def _spoilt(function: Any, fault: Fault) -> Any:
    """Return the code of a function with the fault in it."""
    source = dedent(inspect.getsource(function))
    if source.count(fault.right) != 1:
        raise ValueError(f"{fault.place} does not say once: {fault.right}")
    tree = ast.parse(source.replace(fault.right, fault.wrong))
    (made,) = tree.body
    assert isinstance(made, ast.FunctionDef | ast.AsyncFunctionDef)
    made.decorator_list = []
    found: dict[str, Any] = {}
    exec(compile(tree, inspect.getfile(function), "exec"), function.__globals__, found)  # noqa: S102 - our own source
    return found[made.name].__code__
