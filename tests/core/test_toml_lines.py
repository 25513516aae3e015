"""Line numbers of TOML keys."""

import tomllib

from frx.toml_lines import key_lines, key_text

TEXT = """\
name = "x"  # a comment

[data]
use = "folder"
text = '''
[not.a.table]
'''

[[stages]]
name = "first"
of = [
    { use = "a" },
    { use = "b", weight = 3 },
]

  [[stages.losses]]
  use = "l1"

[[stages]]
name = "second"

  [[stages.losses]]
  use = "l2"
  [[stages.losses]]
  use = "l3"

[profiles.quick]
data.size = 4
"""


def test_every_key_is_on_the_line_where_it_is_written() -> None:
    lines = {key_text(path): line for path, line in key_lines(TEXT).items()}
    expected = {
        "name": 1,
        "data": 3,
        "data.text": 5,
        "stages[0]": 9,
        "stages[0].of[1].weight": 13,
        "stages[0].losses[0].use": 17,
        "stages[1].name": 20,
        "stages[1].losses[0].use": 23,
        "stages[1].losses[1].use": 25,
        "profiles.quick.data.size": 28,
    }
    assert {key: lines[key] for key in expected} == expected


def test_no_key_is_left_out() -> None:
    def paths(value: object, at: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
        if isinstance(value, dict):
            items = list(value.items())
        elif isinstance(value, list):
            items = list(enumerate(value))
        else:
            return set()
        return {p for k, v in items for p in {(*at, k), *paths(v, (*at, k))}}

    assert paths(tomllib.loads(TEXT)) <= set(key_lines(TEXT))
