"""Which encoding a text table has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.core.errors import DataError, SettingError
from chainrule.data.encodings import to_utf8

TABLES = {
    "cp1252": [
        "Name;Größe;Straße\nMüller;1,5;Hauptstraße\nJäger;2,5;Königsallee\n",
        "item;price\nKäse;5 €\n",
        "ort;temp °C\nUlm;5\nBonn;7\n",
        "ciudad,año\nCádiz,2020\nLogroño,2021\n",
        "ville,été\nOrléans,élevé\nNîmes,très élevé\nBesançon,à côté\n",
        "a,b\ncafé,1\n" + "x,2\n" * 200,
        "name,note\nFrançois,“quoted” – dash…\nZoë,it’s\n",
    ],
    "cp1250": ["miasto;cena\nŁódź;1\nGdańsk;2\nKraków;3\nWrocław;4\nPoznań;\n"],
    "cp1251": ["город;цена\nМосква;1\nСанкт-Петербург;2\nНовосибирск;3\n"],
    "koi8_r": ["город;цена\nМосква;1\nСанкт-Петербург;2\nНовосибирск;3\n"],
    "cp1253": ["πόλη;τιμή\nΑθήνα;1\nΘεσσαλονίκη;2\n"],
    "cp1254": ["şehir;fiyat\nİstanbul;1\nEskişehir;2\nDiyarbakır;3\n"],
    "cp932": ["都市,価格\n東京,1\n大阪,2\n京都は寒いです,3\n"],
    "gb18030": ["城市,价格\n北京,1\n上海,2\n广州今天下雨,3\n"],
    "big5": ["城市,價格\n臺北,1\n高雄,2\n今天下雨,3\n"],
    "cp949": ["도시,가격\n서울,1\n부산,2\n오늘 비가 옵니다,3\n"],
}
TEXT = "größe,n\n1,✓\n"


@pytest.mark.parametrize(
    ("encoding", "text"), [(name, text) for name, texts in TABLES.items() for text in texts]
)
def test_the_usual_encodings_are_found_and_said(encoding, text):
    content, notes = to_utf8(text.encode(encoding), "t.csv")
    assert content.decode() == text
    assert notes == [f"t.csv: read as {encoding} (it is not UTF-8); --encoding names another"]


def test_utf8_needs_no_words():
    for content in (TEXT.encode(), TEXT.encode("utf-8-sig"), b"a,b\n1,2\n"):
        assert to_utf8(content, "t.csv") == (content, [])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-16-le", "utf-16-be"])
def test_wide_text_with_and_without_a_mark(encoding):
    content, notes = to_utf8(TEXT.encode(encoding), "t.csv")
    assert content.decode().removeprefix("\ufeff") == TEXT
    assert "read as UTF-" in notes[0]


def test_a_named_encoding_is_used_without_a_word():
    assert to_utf8("café".encode("mac-roman"), "t.csv", "mac-roman") == ("café".encode(), [])
    assert to_utf8(b"caf\xe9", "t.csv", "ISO 8859-1") == ("café".encode(), [])


def test_a_wrong_encoding_names_the_line():
    with pytest.raises(DataError, match=r"t.csv, line 3 is not ascii text \(byte 0xe9\)"):
        to_utf8(b"a,b\n1,2\n3,caf\xe9\n", "t.csv", "ascii")
    with pytest.raises(DataError, match="line 2 is not utf-8 text"):
        to_utf8(b"a,b\ncaf\xe9\n", "t.csv", "utf-8")


@pytest.mark.parametrize("name", ["cp125", "rot13", "base64", "punycode", "", "\0", "utf_7"])
def test_what_is_no_encoding_of_text(name):
    with pytest.raises(SettingError, match="--encoding takes the name of a text encoding"):
        to_utf8(b"a", "t.csv", name)


def test_a_mark_wins_and_is_said():
    content, notes = to_utf8(TEXT.encode("utf-8-sig"), "t.csv", "cp1252")
    assert content.decode().removeprefix("\ufeff") == TEXT
    assert notes == ["t.csv: begins with the mark of UTF-8 and is read so"]


@given(st.binary(max_size=300), st.sampled_from([None, "utf-16", "cp932", "utf-8"]))
def test_any_bytes_give_text_or_a_data_error(content, encoding):
    try:
        text, _ = to_utf8(content, "t.csv", encoding)
    except DataError as error:
        assert "t.csv" in str(error)
    else:
        assert b"\0" in content or text.decode() is not None
