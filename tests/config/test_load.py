import os
import re
from datetime import date, time
from importlib import resources
from pathlib import Path, PureWindowsPath
from typing import get_args, get_origin, get_type_hints

import pytest
import yaml

from drawcli.config import locate
from drawcli.config.load import Settings, load_settings
from drawcli.config.locate import find_settings
from drawcli.config.sections import DEFAULT_ENDPOINTS, ServerSettings
from drawcli.config.sections_targets import read_folder
from drawcli.core.gate.acceptance import Severity
from drawcli.errors import ConfigError
from drawcli.system.records import Record

ENOUGH = "datastore: store\nstate_dir: state\n"
DESCRIPTORS = "'SeriesDescription', 'StudyDescription' or 'ProtocolName'"
ON_MANY = "'hold', 'first' or 'all'"
JARGON = re.compile("_error|pydantic|[Ii]nput|instance|dictionary|type=|Value error")


def load(tmp_path: Path, text: str, **env: str) -> Settings:
    path = tmp_path / "drawcli.yaml"
    path.write_text(text, encoding="utf-8")
    return load_settings(path, env)


def problems(tmp_path: Path, text: str, **env: str) -> list[str]:
    """Return what is wrong, each line without the folder."""
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text, **env)
    return [line.replace(f"{tmp_path}/", "") for line in str(caught.value).splitlines()]


def test_two_keys_are_enough_and_the_rest_is_as_the_design_says(tmp_path: Path) -> None:
    settings = load(tmp_path, ENOUGH)

    assert settings.server.url == "https://draw.chavi.ai/"
    assert (settings.server.timeout_seconds, settings.server.deadline_hours) == (60, 4)
    assert not settings.server.allow_http
    assert (settings.scan.quiet_minutes, settings.scan.min_slices) == (10, 3)
    assert settings.scan.modalities == ["CT", "MR", "PT"]
    assert settings.scan.studied_after is None
    assert settings.match.on_many == "hold"
    assert (settings.deidentify.dates, settings.deidentify.keep_descriptors) == ("shift", [])
    assert (settings.deliver.folder, settings.deliver.keep_days) == ("beside", 30)


def test_relative_paths_are_relative_to_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    settings = load(
        tmp_path,
        "datastore: [store, /mnt/other]\nstate_dir: ../state\nserver: {token_file: t.json}\n"
        "deliver: {folder: inbox}\n",
    )

    assert settings.datastore == [tmp_path / "store", Path("/mnt/other")]
    assert settings.state_dir == tmp_path / "../state"
    assert settings.rules == tmp_path / "rules.yaml"
    assert settings.templates == tmp_path / "templates.yaml"
    assert settings.server.token_file == tmp_path / "t.json"
    assert settings.deliver.folder == tmp_path / "inbox"


def test_every_path_of_a_section_may_be_relative(tmp_path: Path) -> None:
    text = ENOUGH
    for name, section in sections(load(tmp_path, ENOUGH)).items():
        for key, hint in get_type_hints(section).items():
            if Path in (hint, *get_args(hint)):
                value = "[store/x]" if get_origin(hint) is list else "store/x"
                given = load(tmp_path, f"{text}{name}: {{{needed(key)}{key}: {value}}}\n")
                path = getattr(getattr(given, name), key)
                wanted = tmp_path / "store/x"
                why = f"add {name}.{key} to `anchored` in drawcli/config/load.py"
                assert path in (wanted, [wanted]), why


def sections(settings: Settings) -> dict[str, type[Record]]:
    """Return the sections of the settings by name."""
    values = {name: getattr(settings, name) for name in Settings.fields}
    return {name: type(value) for name, value in values.items() if isinstance(value, Record)}


def needed(key: str) -> str:
    """Return the keys without which a path is refused."""
    return {
        "client_key": "client_cert: /c, ",
        "s3_ca_file": "work: 's3://bucket/prefix', ",
        "tls_key": "tls_cert: /c, ",
        "tls_ca": "tls_cert: /c, tls_key: /k, ",
    }.get(key, "")


def test_a_relative_settings_file_anchors_absolute_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "drawcli.yaml").write_text(ENOUGH)
    monkeypatch.chdir(tmp_path)

    assert load_settings(Path("drawcli.yaml"), {}).state_dir == tmp_path / "state"


def test_a_tilde_is_the_home_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ward")

    assert load(tmp_path, "datastore: ~/dicom\nstate_dir: s\n").datastore == [
        Path("/home/ward/dicom")
    ]


def test_everything_wrong_is_told_at_once_with_its_place(tmp_path: Path) -> None:
    told = problems(
        tmp_path,
        "datastore: []\n"
        "servr: 1\n"
        "server:\n"
        "  url: ftp://draw\n"
        "  client_id: ward 7\n"
        "  timeout_seconds: soon\n"
        "  allow_http: perhaps\n"
        "  endpoints: {helth: /x}\n"
        "scan:\n"
        "  qiet_minutes: 3\n"
        "  modalities: [CT, US]\n"
        "  min_slices: 1.5\n"
        "  studied_after: soon\n"
        "match: {on_many: some}\n"
        "deidentify: {dates: no, keep_descriptors: [PatientName]}\n"
        "deliver: {folder: 3, keep_days: 0}\n",
    )

    assert sorted(told) == sorted(
        [
            "drawcli.yaml:1:1: 'datastore' should not be empty",
            "drawcli.yaml:1:1: 'state_dir' is missing",
            "drawcli.yaml:2:1: unknown key 'servr'; did you mean 'server'?",
            "drawcli.yaml:4:3: 'server.url' is not an http or https address",
            "drawcli.yaml:5:3: 'server.client_id' should contain only letters, digits and _ . -",
            "drawcli.yaml:6:3: 'server.timeout_seconds' should be a number",
            "drawcli.yaml:7:3: 'server.allow_http' should be true or false",
            "drawcli.yaml:8:15: unknown key 'server.endpoints.helth'; did you mean 'health'?",
            "drawcli.yaml:10:3: unknown key 'scan.qiet_minutes'; did you mean 'quiet_minutes'?",
            "drawcli.yaml:11:20: 'scan.modalities.1' should be 'CT', 'MR' or 'PT'",
            "drawcli.yaml:12:3: 'scan.min_slices' should be a whole number",
            "drawcli.yaml:13:3: 'scan.studied_after' should be a date such as 2026-01-31",
            "drawcli.yaml:14:9: 'match.on_many' should be 'hold', 'first' or 'all'",
            "drawcli.yaml:15:14: 'deidentify.dates' should be 'shift' or 'fixed'",
            "drawcli.yaml:15:44: 'deidentify.keep_descriptors.0' should be " + DESCRIPTORS,
            "drawcli.yaml:16:11: 'deliver.folder' should be a path",
            "drawcli.yaml:16:22: 'deliver.keep_days' should be greater than 0",
        ]
    )


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("server: 3", "3:1: 'server' should have keys with values below it"),
        ("server: [url]", "3:1: 'server' should have keys with values below it"),
        ("rules:", "3:1: 'rules' should be a path"),
        ("rules: ''", "3:1: 'rules' should be a path"),
        ("rules: [a]", "3:1: 'rules' should be a path"),
        ("rules: ~nobody-of-that-name/r.yaml", "3:1: 'rules' names an unknown user"),
        ("server: {client_id: 7}", "3:10: 'server.client_id' should be a text; put it in quotes"),
        ("scan: {min_slices: 1}", "3:8: 'scan.min_slices' should be at least 2"),
        ("scan: {min_slices: true}", "3:8: 'scan.min_slices' should be"),
        ("scan: {quiet_minutes: .inf}", "3:8: 'scan.quiet_minutes' should be a finite number"),
        ("scan: {quiet_minutes: .nan}", "3:8: 'scan.quiet_minutes' should be a"),
        ("scan: {incomplete_hours: 99999}", "3:8: 'scan.incomplete_hours' should be at most 10000"),
        ("scan: {studied_after: 12}", "3:8: 'scan.studied_after' should be a date such as"),
        ("scan: {modalities: []}", "3:8: 'scan.modalities' should not be empty"),
        ("deliver: {keep_days: 1.0e+9}", "3:11: 'deliver.keep_days' should be at most 36500"),
        ("server: {url: 'https://draw:x'}", "3:10: 'server.url' is not an http or https address"),
        ("server: {url: 'https://[::1'}", "3:10: 'server.url' is not an http or https address"),
        ("server: {url: 'https://u:p@draw'}", "3:10: 'server.url' should be an address without"),
        ("server: {url: 'https://draw/?a=b'}", "3:10: 'server.url' should be an address without"),
        (
            "server: {endpoints: {health: api/health}}",
            "3:10: 'server.endpoints' the path of health should begin with one '/'",
        ),
        (
            "server: {endpoints: {models: '//evil/x'}}",
            "3:10: 'server.endpoints' the path of models should begin with one '/'",
        ),
        (
            "server: {endpoints: {status: /status}}",
            "3:10: 'server.endpoints' the path of status should contain {task_id}",
        ),
        ("dashboard: {proxies: [nginx]}", "3:13: 'dashboard.proxies' 'nginx' is not an address or"),
        ("dashboard: {proxies: 10.1.2.3/8}", "3:13: 'dashboard.proxies' '10.1.2.3/8' is no"),
        ("dashboard: {tls_proxy: maybe}", "3:13: 'dashboard.tls_proxy' should be"),
        (
            "metrics: {heartbeat_url: 'ftp://canary'}",
            "3:11: 'metrics.heartbeat_url' is not an http or",
        ),
        ("metrics: {heartbeat_url: 'https://a b'}", "3:11: 'metrics.heartbeat_url' should be an"),
        (
            "notify: {digest_at: noon}",
            "3:10: 'notify.digest_at' 'noon' is not a time of day such as",
        ),
        ("notify: {events: [hold]}", "3:19: 'notify.events.0' should be 'held', 'blocked'"),
        ("scan: {quiet_minutes: 0x10}", "3:23: YAML reads 0x10 as 16; put a text in quotes"),
        ("server: {url: x}\nserver: {url: y}", "4:1: duplicate key 'server'"),
        ("scan: {min_slices:\t3}", "3:19: a tab; indent with spaces"),
        ("\tscan: 3", "3:1: a tab; indent with spaces"),
    ],
)
def test_each_kind_of_mistake_is_told_in_plain_words(tmp_path: Path, line: str, told: str) -> None:
    first, *others = problems(tmp_path, ENOUGH + line + "\n")

    assert first.startswith(f"drawcli.yaml:{told}")
    assert not others


def test_no_message_speaks_as_a_programmer(tmp_path: Path) -> None:
    told = "\n".join(
        problems(
            tmp_path,
            "datastore: {a: b}\nstate_dir: [x]\nrules: 3\nserver: {url: 1, endpoints: [x]}\n"
            "scan: {modalities: {a: b}, min_slices: x, quiet_minutes: [1]}\nmatch: x\n"
            "deidentify: {dates: 1}\ndeliver: {keep_days: x, folder: {a: b}}\n",
        )
    )

    assert (
        re.search(r"_error|pydantic|Input|input|instance|dictionary|type=|Value error", told)
        is None
    )


@pytest.mark.parametrize("text", ["- datastore\n", "just words\n", "42\n"])
def test_a_file_without_keys_is_told(tmp_path: Path, text: str) -> None:
    assert problems(tmp_path, text) == [
        "drawcli.yaml:1:1: expected keys with values, such as 'datastore: /dicom'"
    ]


def test_an_empty_file_lacks_what_has_no_default(tmp_path: Path) -> None:
    assert problems(tmp_path, "") == [
        "drawcli.yaml:1:1: 'datastore' is missing",
        "drawcli.yaml:1:1: 'state_dir' is missing",
    ]


def test_a_section_whose_keys_are_all_comments_keeps_its_defaults(tmp_path: Path) -> None:
    settings = load(tmp_path, ENOUGH + "server:\n  # client_id: x\nscan:\n")

    assert settings.server.url == ServerSettings().url
    assert settings.scan.min_slices == 3


def test_settings_of_a_scan_have_the_text_of_earlier_versions(tmp_path: Path) -> None:
    """It is kept in the scan index; another text would list every folder again."""
    own = "scan: {studied_after: 2026-01-31, folders: {ä: {late: ignore}}}\n"
    criteria = (
        '"quiet_minutes":10.0,"incomplete_hours":24.0,"modalities":["CT","MR","PT"],"min_slices":3,'
        '"studied_after":%s,"sop_classes":[],"max_series_gib":100.0,"min_age_minutes":0.0,'
        '"largest_step":1.5,"late":"%s","segmented":"former"'
    )

    whole, part = criteria % ('"2026-01-31"', "flag"), criteria % ("null", "ignore")
    assert load(tmp_path, ENOUGH + own).scan.as_json() == (
        f'{{{whole},"include":[],"exclude":[],"folders":{{"ä":{{{part}}}}},'
        '"full_walk_hours":1.0,"workers":0,"answer_seconds":120.0}'
    )


def test_a_date_may_be_written_as_dicom_does(tmp_path: Path) -> None:
    for text in ("2026-01-31", "20260131", "'2026-01-31'"):
        settings = load(tmp_path, ENOUGH + f"scan: {{studied_after: {text}}}\n")

        assert settings.scan.studied_after == date(2026, 1, 31)


def test_the_environment_wins_over_the_file_key_by_key(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        ENOUGH + "server: {url: 'https://file', client_id: file}\nscan: {min_slices: 9}\n",
        DRAWCLI_SERVER__URL="https://env",
        DRAWCLI_SCAN__MIN_SLICES="5",
        DRAWCLI_SERVER__ENDPOINTS__HEALTH="/ready",
        drawcli_match__on_many="first",
        DRAWCLI_STATE_DIR="elsewhere",
        PATH="/bin",
    )

    assert settings.server.url == "https://env"
    assert settings.server.client_id == "file"
    assert settings.server.path_of("health") == "/ready"
    assert settings.scan.min_slices == 5
    assert settings.match.on_many == "first"
    assert settings.state_dir == tmp_path / "elsewhere"


def test_only_the_environment_that_is_given_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRAWCLI_SCAN__MIN_SLICES", "77")

    assert load(tmp_path, ENOUGH).scan.min_slices == 3


@pytest.mark.parametrize(
    ("value", "paths"),
    [
        ("/mnt/a, b", ["/mnt/a, b"]),
        ('["/mnt/a", "/mnt/b"]', ["/mnt/a", "/mnt/b"]),
    ],
)
def test_a_list_in_a_variable_is_one_word_or_json(
    tmp_path: Path, value: str, paths: list[str]
) -> None:
    assert load(tmp_path, ENOUGH, DRAWCLI_DATASTORE=value).datastore == [Path(p) for p in paths]


def test_a_variable_that_is_nested_too_deep_is_no_json(tmp_path: Path) -> None:
    (folder,) = load(tmp_path, ENOUGH, DRAWCLI_DATASTORE="[" * 10_000).datastore

    assert folder.name == "[" * 10_000


def test_a_variable_with_thousands_of_parts_is_no_setting(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, ENOUGH, **{"DRAWCLI_SCAN" + "__A" * 5000: "1"})

    assert "unknown setting" in problem or problem.startswith("environment DRAWCLI_SCAN__A__A")
    assert len(problem) < 1100


def test_words_in_a_variable_may_be_separated_by_commas(tmp_path: Path) -> None:
    settings = load(tmp_path, ENOUGH, DRAWCLI_SCAN__MODALITIES="CT, PT")

    assert settings.scan.modalities == ["CT", "PT"]


def test_a_whole_section_may_be_a_variable(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        ENOUGH,
        DRAWCLI_SERVER='{"client_id": "a", "timeout_seconds": 5}',
        DRAWCLI_SERVER__TIMEOUT_SECONDS="7",
    )

    assert (settings.server.client_id, settings.server.timeout_seconds) == ("a", 7)


def test_what_a_variable_gets_wrong_is_told_with_its_name(tmp_path: Path) -> None:
    told = problems(
        tmp_path,
        ENOUGH + "server: {timeout_seconds: x}\n",
        DRAWCLI_SEVER__URL="x",
        DRAWCLI_SERVER__URI="x",
        DRAWCLI_MATCH__ON_MANY="some",
        DRAWCLI_SCAN="x",
        DRAWCLI_CONFIG="is no setting",
    )

    assert sorted(told) == sorted(
        [
            "environment DRAWCLI_SEVER__URL: unknown setting; did you mean 'DRAWCLI_SERVER'?",
            "environment DRAWCLI_SERVER__URI: unknown key 'server.uri'; did you mean 'url'?",
            "environment DRAWCLI_MATCH__ON_MANY: 'match.on_many' should be " + ON_MANY,
            "environment DRAWCLI_SCAN: 'scan' should have keys with values below it",
            "drawcli.yaml:3:10: 'server.timeout_seconds' should be a number",
        ]
    )


@pytest.mark.parametrize(
    "state", ["store", "store/state", "x/../store/state", "link/state", "/", "."]
)
def test_nothing_of_ours_may_lie_in_the_datastore(tmp_path: Path, state: str) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "link").symlink_to("store")
    store = {"/": "/", ".": "."}.get(state, "store")

    (told,) = problems(tmp_path, f"datastore: [other, {store}]\nstate_dir: {state}\n")

    assert told.startswith("drawcli.yaml:2:1: state_dir is in the datastore")


def test_nothing_of_ours_may_lie_in_the_datastore_by_another_name_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where names do not distinguish case, the system alone knows that two mean one folder."""
    (tmp_path / "store").mkdir()
    real = Path.stat

    def stat(path: Path, **how: bool) -> os.stat_result:
        return real(Path(str(path).replace("STORE", "store")), **how)

    monkeypatch.setattr(Path, "stat", stat)

    (told,) = problems(tmp_path, "datastore: store\nstate_dir: STORE/state\n")

    assert "state_dir is in the datastore" in told


@pytest.mark.parametrize("folder", [r"\\srv\{patient_id}\RS", r"\\srv\x{job}"])
def test_a_share_has_no_pattern_in_its_own_name(
    monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    for module in ("system.kinds", "config.sections_targets"):
        monkeypatch.setattr(f"drawcli.{module}.Path", PureWindowsPath)
    monkeypatch.setattr(PureWindowsPath, "expanduser", lambda path: path, raising=False)

    with pytest.raises(ValueError, match="begin with an existing folder"):
        read_folder(folder)
    assert read_folder(r"\\srv\tps\{patient_id}") == PureWindowsPath(r"\\srv\tps\{patient_id}")


def test_a_state_folder_beside_the_datastore_is_right(tmp_path: Path) -> None:
    settings = load(tmp_path, "datastore: store\nstate_dir: store/../store-state\n")

    assert settings.state_dir.name == "store-state"


def test_a_state_folder_in_the_datastore_by_a_variable_is_told_with_its_name(
    tmp_path: Path,
) -> None:
    (told,) = problems(tmp_path, ENOUGH, DRAWCLI_STATE_DIR="store/x")

    assert told.startswith("environment DRAWCLI_STATE_DIR: state_dir is in the datastore")


def test_the_example_of_the_package_shows_every_key_with_its_default(tmp_path: Path) -> None:
    text = (resources.files("drawcli") / "data/drawcli.yaml").read_text(encoding="utf-8")
    shown = re.sub(r"(?m)^( *)# (?= *[a-z0-9_]+:)", r"\1", text)

    by_default = load(tmp_path, "datastore: /mnt/dicom\nstate_dir: state\n")
    as_shown = load(tmp_path, shown)

    assert set(yaml.safe_load(shown)) == set(Settings.fields)
    for name, section in sections(by_default).items():
        keys, fields = set(yaml.safe_load(shown)[name]), set(section.fields)
        assert keys == fields, f"{name}: add the keys that differ to drawcli/data/drawcli.yaml"
    assert as_shown.replace(server=by_default.server) == by_default


@pytest.mark.parametrize(
    "label", ["{patient}", "{template", "{0}", "Füße", "a\\\\b", "  ", "{template.x}", "a\\tb"]
)
def test_a_label_of_structure_sets_that_cannot_be_made_is_told(tmp_path: Path, label: str) -> None:
    (problem,) = problems(tmp_path, f'{ENOUGH}deliver: {{label: "{label}"}}\n')

    assert "deliver.label" in problem


def test_a_check_of_contours_can_be_weighed_and_switched_off(tmp_path: Path) -> None:
    checks = "accept: {checks: {contour-short: block, structure-gaps: off, contour-outside: warn}}"

    settings = load(tmp_path, f"{ENOUGH}{checks}\n")

    assert settings.accept.severities == {
        "contour-short": Severity.BLOCK,
        "structure-gaps": None,
        "contour-outside": Severity.WARN,
    }


@pytest.mark.parametrize(
    ("checks", "told"),
    [
        ("{foreign-patient: off}", "no check 'foreign-patient'"),
        ("{contour-short: maybe}", "should be 'block', 'warn' or 'off'"),
    ],
)
def test_what_is_no_check_of_contours_cannot_be_weighed(
    tmp_path: Path, checks: str, told: str
) -> None:
    (problem,) = problems(tmp_path, f"{ENOUGH}accept: {{checks: {checks}}}\n")

    assert told in problem


def test_an_endpoint_is_the_sites_own_or_the_usual_one() -> None:
    server = ServerSettings(endpoints={"refresh": "/auth/refresh"})

    assert server.path_of("refresh") == "/auth/refresh"
    assert server.path_of("upload") == DEFAULT_ENDPOINTS["upload"] == "/api/upload/"


def test_the_flag_comes_first_then_the_variable_then_this_folder_then_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    users = home / "drawcli" / "drawcli.yaml"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(locate, "MACHINE", tmp_path / "etc.yaml")
    with pytest.raises(ConfigError, match="no settings") as caught:
        find_settings(None, {})
    assert "drawcli init" in caught.value.hint

    locate.MACHINE.touch()
    assert find_settings(None, {}) == locate.MACHINE

    users.parent.mkdir(parents=True)
    users.touch()
    assert find_settings(None, {}) == users

    Path("drawcli.yaml").touch()
    assert find_settings(None, {}) == Path("drawcli.yaml")

    env = {"DRAWCLI_CONFIG": "/etc/drawcli.yaml"}
    assert find_settings(None, env) == Path("/etc/drawcli.yaml")
    assert find_settings(Path("mine.yaml"), env) == Path("mine.yaml")


@pytest.mark.parametrize("text", ["off", "null", "'off'"])
def test_the_daily_digest_can_be_switched_off(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, f"{ENOUGH}notify: {{digest_at: {text}}}\n").notify.digest_at is None


@pytest.mark.parametrize("text", ["06:30", "'6:30'"])
def test_the_hour_of_the_digest_is_written_as_people_do(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, f"{ENOUGH}notify: {{digest_at: {text}}}\n").notify.digest_at == time(
        6, 30
    )


def test_places_for_figures_and_addresses_are_relative_to_the_file(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        ENOUGH + "notify: {urls_file: n.urls}\nmetrics: {textfile: d.prom}\n",
        DRAWCLI_NOTIFY_URLS="json://is-no-unknown-setting",
    )

    assert settings.notify.urls_file == tmp_path / "n.urls"
    assert settings.metrics.textfile == tmp_path / "d.prom"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("node: tps.example:104", "should be AE_TITLE@host:port"),
        ("node: ECLIPSE@tps.example", "should be AE_TITLE@host:port"),
        ("node: ECLIPSE@tps.example:http", "should end with a port number"),
        ("node: ECLIPSE@tps.example:65536", "should end with a port number"),
        ("node: ECLIPSE@tps..example:104", "should name a host"),
        (f"node: ECLIPSE@{'a' * 64}.example:104", "should name a host"),
        ("node: ECLIPSE@tps example:104", "should name a host"),
        ("node: 'ECLIPSE@[]:104'", "should name a host"),
        ("node: '@tps.example:104'", "1 to 16 characters"),
        ("node: ECLIPSE_OF_WARD_77@tps.example:104", "1 to 16 characters"),
        ("node: 'A\\B@tps.example:104'", "plain ASCII without a backslash"),
        ("ae_title: ''", "1 to 16 characters"),
        ("ae_title: Köln", "plain ASCII"),
    ],
)
def test_a_dicom_node_that_cannot_be_is_told(tmp_path: Path, words: str, why: str) -> None:
    (told,) = problems(tmp_path, f"{ENOUGH}deliver:\n  {words}\n")

    assert told.startswith(f"drawcli.yaml:4:3: 'deliver.{words.partition(':')[0]}'")
    assert why in told


def test_a_dicom_node_is_as_people_write_it(tmp_path: Path) -> None:
    settings = load(tmp_path, f"{ENOUGH}deliver: {{node: ' TPS@[fd00::7]:104 '}}\n")

    assert (settings.deliver.node, settings.deliver.ae_title) == ("TPS@[fd00::7]:104", "DRAWCLI")
    assert load(tmp_path, ENOUGH).deliver.node == ""


def test_a_folder_that_this_user_may_not_enter_has_no_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def closed(self: Path, **_: object) -> None:
        raise PermissionError(str(self))

    monkeypatch.setattr(Path, "stat", closed)
    monkeypatch.setattr(locate, "MACHINE", tmp_path / "etc.yaml")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ConfigError, match="no settings"):
        find_settings(None, {})
