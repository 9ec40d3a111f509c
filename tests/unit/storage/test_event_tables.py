from __future__ import annotations

import pytest

from mmpose_ext.storage.event_tables import read_table

NAMES = {'name': ('Name', 'Title'), 'size': ('Size', )}


@pytest.mark.parametrize('mark', [',', ';', '\t'])
def test_the_header_tells_how_cells_are_divided(tmp_path, mark):
    path = tmp_path / 'a.csv'
    lines = [['about', 'x'], ['Size', 'other', 'TITLE'], ['3', '', ' b '],
             [''], ['4.5', '1', '"c, d"']]
    path.write_text('\ufeff' + '\n'.join(mark.join(row) for row in lines),
                    encoding='utf-8')
    rows = read_table(path, NAMES, {'more': ('More', )})
    assert [row.line for row in rows] == [3, 5]
    assert rows[0].cells == {'name': 'b', 'size': '3'}
    assert rows[1].text('name') == 'c, d' and rows[1].number('size') == 4.5


@pytest.mark.parametrize('content, where', [
    ('Name\na\n', 'header'), ('\n\n', 'header'),
    ('Name,Size,name\n', 'header'), ('Name,Size\na\n', 'line 2'),
    ('Name,Size\na,1,2\n', 'line 2'), (b'Name,Size\n\xff,1\n', 'file')])
def test_damaged_tables_are_refused(tmp_path, refused, content, where):
    path = tmp_path / 'a.csv'
    path.write_bytes(content if isinstance(content, bytes)
                     else content.encode())
    with refused(where):
        read_table(path, NAMES, {})


@pytest.mark.parametrize('text', ['', 'x', 'nan', 'inf', '1,5'])
def test_cells_that_are_no_numbers_are_refused(tmp_path, refused, text):
    path = tmp_path / 'a.csv'
    path.write_text(f'Name,Size,more\n,"{text}",x\n')
    row, = read_table(path, NAMES, {})
    with refused('line 2, column size'):
        row.number('size')
    with refused('line 2, column name'):
        row.text('name')
