"""The grammar of Java's properties files. The expected values are what java.util.Properties gives."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from salver.errors import Code, StartupError
from salver.wire.torchserve.properties import parse_properties, with_variables

CASES = [
    ("a=b", {"a": "b"}),
    ("a = b ", {"a": "b "}),
    ("a:b", {"a": "b"}),
    ("a b", {"a": "b"}),
    ("a\t=\t b", {"a": "b"}),
    ("a==b", {"a": "=b"}),
    ("a = = b", {"a": "= b"}),
    ("a", {"a": ""}),
    ("  a=b", {"a": "b"}),
    ("# a=b\n! c=d\n\n   \ne=f", {"e": "f"}),
    ("a=b # c", {"a": "b # c"}),
    ("a=1\na=2", {"a": "2"}),
    ("a=b\\\n   c", {"a": "bc"}),
    ("a=b\\\n# c\nd=e", {"a": "b# c", "d": "e"}),
    ("a=b\\\\\nc=d", {"a": "b\\", "c": "d"}),
    ("a=b\\", {"a": "b"}),
    ("a=b\r\nc=d\re=f", {"a": "b", "c": "d", "e": "f"}),
    ("a\\=b=c", {"a=b": "c"}),
    ("a\\ b\\:c = d", {"a b:c": "d"}),
    ("a=x\\ty\\nz\\q", {"a": "x\ty\nzq"}),
    ("a=\\u0041\\u00e9", {"a": "Aé"}),
    ("a=\\ud83d\\ude00", {"a": "😀"}),
    ("=b", {"": "b"}),
    ("load_models=a=b.mar,c.mar", {"load_models": "a=b.mar,c.mar"}),
    ('models={\\\n  "a": {\\\n  "1.0": {}}}', {"models": '{"a": {"1.0": {}}}'}),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_a_file_is_read_as_java_reads_it(text: str, expected: dict[str, str]) -> None:
    assert parse_properties(text, "config.properties") == expected


READ = """
import java.nio.file.*;
import java.util.*;

public class Read {
    public static void main(String[] files) throws Exception {
        for (String file : files) {
            Properties properties = new Properties();
            properties.load(Files.newBufferedReader(Paths.get(file)));
            StringBuilder line = new StringBuilder();
            for (String key : new TreeSet<String>(properties.stringPropertyNames()))
                for (String text : new String[] {key, properties.getProperty(key)}) {
                    for (char unit : text.toCharArray()) line.append((int) unit).append(' ');
                    line.append(';');
                }
            System.out.println(line);
        }
    }
}
"""
"""Prints the keys and values of files as numbers of UTF-16."""


@pytest.mark.slow
def test_java_itself_reads_the_same(tmp_path: Path) -> None:
    if shutil.which("java") is None or shutil.which("javac") is None:
        pytest.skip("NO JAVA: install a JDK to compare with java.util.Properties itself")
    source = tmp_path / "Read.java"
    source.write_text(READ)
    names = []
    for number, (text, _) in enumerate(CASES):
        path = tmp_path / f"{number}.properties"
        path.write_text(text, encoding="utf-8", newline="")
        names.append(str(path))
    printed = subprocess.run(["java", str(source), *names], check=True, capture_output=True, text=True).stdout
    for line, (text, expected) in zip(printed.splitlines(), CASES, strict=True):
        words = [key_or_value for key in sorted(expected) for key_or_value in (key, expected[key])]
        units = "".join(
            "".join(f"{unit} " for unit in memoryview(word.encode("utf-16-le")).cast("H")) + ";" for word in words
        )
        assert line == units, text


def test_a_broken_escape_is_told_with_its_line() -> None:
    with pytest.raises(StartupError, match=r"config\.properties line 3: \\u must be followed") as caught:
        parse_properties("a=b\n\nc=\\u12", "config.properties")
    assert caught.value.code is Code.SETTINGS_INVALID


def test_variables_stand_between_dollars() -> None:
    found = with_variables({"a": "x$$HOST$$:$$PORT$$", "b": "$$", "c": "$HOME"}, {"HOST": "h", "PORT": "1"}, "f")
    assert found == {"a": "xh:1", "b": "$$", "c": "$HOME"}


def test_a_variable_that_is_not_set_is_named() -> None:
    with pytest.raises(StartupError, match="f: model_store needs the variable STORE, which is not set") as caught:
        with_variables({"model_store": "$$STORE$$"}, {}, "f")
    assert "Set STORE" in caught.value.fix
