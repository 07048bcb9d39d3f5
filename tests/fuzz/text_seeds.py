"""Valid inputs of the targets that read texts: files of a site, a server, a former client."""

import gzip
import hashlib
import json
from typing import Any

from tests.former_export import record
from tests.fuzz.server_http import HTTP_2, NEXT


def text_messages() -> dict[str, list[bytes]]:
    """Return the valid inputs of each target."""
    return {
        **site_files(),
        **server_answers(),
        "former_export": [json.dumps(one).encode() for one in (former_rules(), first_client())],
        "former_patients": [json.dumps(former_patients()).encode()],
        "former_history": [json.dumps(former_history()).encode()],
    }


# --- files that people edit


def site_files() -> dict[str, list[bytes]]:
    return {
        "settings_file": [SETTINGS.encode(), SECTIONS.encode()],
        "rules_file": [RULES.encode(), ALIASES.encode(), REFUSED.encode()],
        "templates_file": [TEMPLATES.encode(), LOOKS.encode()],
    }


SETTINGS = """datastore: [/dicom, other]
state_dir: state
server:
  url: https://draw.example.org/
  timeout_seconds: 60
  bwlimit: {"07:00": 2M, "19:00": off}
scan: {quiet_minutes: 10, modalities: [CT, MR], studied_after: 2026-01-31}
accept: {checks: {contour-overlap: warn}}
"""
SECTIONS = """datastore: /dicom
state_dir: state
deliver:
  targets: [{folder: "tps", required: false}, {node: "TPS@10.0.0.7:104"}]
deidentify: {retain: {StationName: "needed by the physicists of this site"}, dates: fixed}
match: {on_many: hold, first_run_limit: 20}
receive: {folder: in, callers: ["CT1@10.0.0.0/24"], largest_gib: 2.5}
"""
RULES = """# comment
rules:
  - name: pelvis
    template: Prostate
    priority: 2
    when:
      all:
        - Modality: CT
        - ProtocolName: {contains: pelvis, case: true}
        - any:
            - SliceThickness: {at_most: 3}
            - PatientName: {not_equals: Mustermann}
            - PatientName: Mustermann
  - name: none
    exclude: true
    when: {SeriesDescription: {matches: "dose.*"}, StudyDate: {at_least: '2026-01-31'}}
tests:
  - name: a scan
    header: {Modality: CT, ProtocolName: RT pelvis, SliceThickness: 3}
    template: Prostate
"""
REFUSED = """rules:
  - name: age
    template: Prostate
    when: {PatientBirthDate: {at_least: Mustermann}}
"""
ALIASES = """rules:
  - &one
    name: one
    template: Prostate
    when: &ct {Modality: CT}
  - {<<: *one, name: "two", when: {not: *ct}}
  - name: three
    templates: [Prostate]
    when: {all: [*ct, {slices: {between: [3, 400]}}, {PatientAge: {at_least: 18Y}}]}
"""
TEMPLATES = """templates:
  Prostate:
    description: organs
    models:
      720:
        name: TSPrime
        config: 3d_fullres
        trainer_name: nnUNet
        postprocess: null
        map: {1: Bladder, 2: Rectum}
"""
LOOKS = """templates:
  Prostate:
    models: {720: {name: A, config: b, trainer_name: c, postprocess: x, map: {1: Bladder}}}
    structures:
      Bladder: {color: [255, 255, 0], type: ORGAN, volume_cm3: [20, 1500], required: true}
    derived:
      Bladder_05: {margin: Bladder, mm: 5}
    empty:
      PTV: {type: PTV, color: [255, 0, 0]}
"""


# --- answers of a server


def answer(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    length = b"content-length: %d" % len(body)
    head = [b"HTTP/1.1 " + status, b"content-type: application/json", length, *headers]
    return b"\r\n".join([*head, b"", body])


def server_answers() -> dict[str, list[bytes]]:
    """Return answers over both versions of HTTP."""
    bodies = [
        b'{"status": "SEGMENTATION COMPLETED"}',
        json.dumps(models()).encode(),
        b'{"transaction_token": "3f9a-1"}',
        b'{"message": "ok"}',
        b'{"access_token": "NewAccess", "refresh_token": "NewRefresh", "expires_in": 3600}',
        b'{"status": "ok"}',
    ]
    plain = [bytes([n]) + answer(body) for n, body in enumerate(bodies)]
    packed = gzip.compress(bodies[0], mtime=0)
    chunks = b"24;x=1\r\n" + bodies[0] + b"\r\n0\r\nx-trailer: 1\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    old = answer(b'{"detail": "expired"}', status=b"401 Unauthorized")
    busy = answer(b"", b"retry-after: 5", status=b"503 Service Unavailable")
    away = answer(b"", b"location: https://other.example.org/", status=b"302 Found")
    plain += [
        b"\0" + answer(packed, b"content-encoding: gzip"),
        b"\0" + head + chunks,
        b"\0" + b"".join([old, answer(bodies[4]), answer(bodies[0])]),
        b"\0" + NEXT.join([busy, away, answer(bodies[0])]),
    ]
    odd = '{"status": "FAILED \\u001b[2J", "error": "\\u001b]0;x\\u0007 \\u202e"}'
    plain.append(b"\0" + answer(odd.encode()))
    two = [bytes([n]) + over_http_2(body) for n, body in enumerate(bodies)]
    two += [b"\0" + over_http_2(bodies[0], status) for status in (b"abc", b"503", b"-1")]
    two.append(b"\0" + over_http_2(bodies[0], b"200", b"\0\x0econtent-length\x0299"))
    return {"server_answer": plain, "server_answer_http_2": two, "server_download": downloads()}


def models() -> list[Any]:
    structure = {"mapid": 1, "map_tg263_primary_name": "Bladder", "median_dice_score": 0.9}
    names = {"model_name": "TSPrime", "model_config": "3d", "model_trainer_name": "T"}
    return [{"model_id": 720, **names, "model_postprocess": "null", "modelmap": [structure]}]


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Return a frame (RFC 9113, 4.1)."""
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


def over_http_2(body: bytes, status: bytes = b"200", more: bytes = b"") -> bytes:
    """Return the frames of a server that answers the first request (RFC 9113, RFC 7541)."""
    literal = b"\x00\x0ccontent-type\x10application/json" + more
    named = b"\x08" + bytes([len(status)]) + status  # :status, by its place in the table
    headers = frame(1, 4, 1, (b"\x88" if status == b"200" else named) + literal)
    return HTTP_2 + frame(4, 1, 0, b"") + headers + frame(0, 1, 1, body)


LINES = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


def chunked(body: bytes, stated: int) -> bytes:
    """Return an answer in one chunk that also states a length, which clients ignore."""
    head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\ntransfer-encoding: chunked\r\n\r\n" % stated
    return head + b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"


def downloads() -> list[bytes]:
    """Return structure sets, whole, and in parts over two connections."""
    body = bytes(range(256)) * 2
    checksum = b"x-file-checksum: " + hashlib.sha256(body).hexdigest().encode()
    ranges = b"accept-ranges: bytes"
    begun = answer(body, checksum, ranges, b'etag: "1"')[: -len(body) // 2]
    part = body[len(body) // 2 :]
    rest = answer(
        part, checksum, b"content-range: bytes 256-511/512", status=b"206 Partial Content"
    )
    return [
        b"1" + answer(body, checksum),
        b"1" + answer(body),
        b"1" + NEXT.join([begun, rest]),
        b"1" + answer(gzip.compress(body, mtime=0), b"content-encoding: gzip"),
        b"2" + over_http_2(body),
        b"1" + answer(body, b"x-file-checksum: " + b"0" * 64),
        b"1" + chunked(body, len(body)),
        b"1" + chunked(body, len(body) + 8),
        b"1" + LINES + b"7d0\r\n" + bytes(2000) + b"\r\n9\r\n" + bytes(9) + b"\r\n0\r\n\r\n",
    ]


# --- the former client


def former_rules() -> list[dict[str, Any]]:
    """Return an export with a template and a rule group."""
    return [
        record("autosegmentationtemplate", "t", template_name="Breast L"),
        record(
            "autosegmentationmodel",
            "m",
            autosegmentation_template_name="t",
            model_id=720,
            name="A",
            config="b",
            trainer_name="c",
            postprocess="null",
        ),
        record(
            "autosegmentationstructure", "s", autosegmentation_model="m", map_id=1, name="Heart"
        ),
        record("structureproperties", "p", autosegmentation_structure="s", roi_label="Heart L"),
        record("dicomtagtype", "A", tag_name="Modality", tag_id="(0008,0060)"),
        record("rulegroup", "g", rulegroup_name="g", associated_autosegmentation_template="t"),
        record("ruleset", "r", rulegroup="g", rulset_order=1, ruleset_combination_type="AND"),
        record(
            "rule",
            "u",
            ruleset="r",
            rule_order=1,
            rule_combination_type="OR",
            dicom_tag_type="A",
            operator_type="EQUALS",
            tag_value_to_evaluate="CT",
        ),
        record("systemconfiguration", 1, client_id="x", draw_base_url="https://a.example/"),
        record("token", "k", user=1),
    ]


def first_client() -> list[dict[str, Any]]:
    """Return an export of the first client."""
    return [
        record("modelyamlinfo", 1, yaml_name="Pelvis.yml"),
        record("ruleset", 2, rule_set_name="pelvis", model_yaml=1),
        record("tagname", 3, tag_name="Modality"),
        record("rule", 5, rule_set=2, tag_name=3, tag_value="CT"),
    ]


def former_patients() -> list[dict[str, Any]]:
    """Return an export with series, ratings and statistics."""
    return [
        record("patient", "p", patient_name="Mustermann"),
        record(
            "dicomseries",
            1,
            series_instance_uid="1.2.3",
            series_processsing_status="RTSTRUCTURE_EXPORTED",
            updated_at="2026-01-31T10:00:00Z",
            series_description="Mustermann",
        ),
        record("dicomseriesprocessingmodel", 2, series_instance_uid="1.2.4", processing_status="X"),
        record(
            "dicomseries",
            6,
            series_instance_uid="1.2.34",
            series_processsing_status="",
            series_state="COMPLETE",
        ),
        record(
            "rtstructurefileimport",
            3,
            date_contour_reviewed="2026-02-01",
            overall_rating=4,
            contour_modification_time_required=12,
            assessor_name="Mustermann",
        ),
        record(
            "rtstructurefilevoidata",
            4,
            rt_structure_file_import=3,
            volume_name="Heart",
            contour_modification="NO_MODIFICATION",
        ),
        record("statistics", 5, parameter_name="total", parameter_value="17", created_at="2026-02"),
    ]


def former_history() -> dict[str, Any]:
    """Return the history as `former-client.json` has it."""
    return {
        "schema": 1,
        "series": {"key": {"0005": {"outcome": "delivered", "at": "2026-01-31T10:00:00+00:00"}}},
        "ratings": {"3": {"at": "2026-02-01", "overall": 4, "structures": {"Heart": "X"}}},
        "statistics": {"5": {"name": "total", "value": 17.0, "at": "2026-02-01"}},
    }
