"""Every table of the page can be copied as Markdown and as LaTeX, by mouse and by keyboard."""

import json

import pytest

from headstart.report.page import TEMPLATES

pytestmark = pytest.mark.browser

SCRIPT = (TEMPLATES / "copy.js").read_text("utf-8")
STYLE = (TEMPLATES / "tables.css").read_text("utf-8")
CATCH = """
    window.copied = [];
    Object.defineProperty(navigator, "clipboard", {value: {writeText: text => {
        window.copied.push(text); return Promise.resolve();
    }}});
"""
HARD = "50 % of $x_1$ & {a} #2 ~ b^2 \\ c|d"


@pytest.fixture(scope="module")
def page(browser):
    """Return an empty page whose clipboard remembers what was written to it."""
    context = browser.new_context()
    context.add_init_script(CATCH)
    yield context.new_page()
    context.close()


@pytest.fixture
def copied(page, tmp_path):
    """Return a function that shows a table in a page and returns what its two buttons copy."""

    def copy(table, before="", after=""):
        file = tmp_path / "page.html"
        body = f"<main>{before}<div class=scroll>{table}</div>{after}</main>"
        file.write_text(f"<!doctype html><meta charset=utf-8><style>{STYLE}</style>{body}<script>{SCRIPT}</script>")
        page.goto(file.as_uri())
        for name in ("Markdown", "LaTeX"):
            page.get_by_role("button", name=f"Copy this table as {name}").first.click(force=True)
        return page.evaluate("window.copied")

    return copy


def table(head, *rows, caption=""):
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    heading = f"<caption><span>{caption}</span></caption>" if caption else ""
    return f"<table>{heading}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def test_a_plain_table(copied):
    shown = table(
        "<th>Name</th><th>Accuracy</th>",
        "<th>a</th><td><b><data value=0.9>90.1\u202f%</data></b><small>88.0 to 92.0</small></td>",
        "<th>b <span class=badge>best</span></th><td>\u22120.5 \u00b1 0.2</td>",
        caption="What was <data>found</data>",
    )
    markdown, latex = copied(shown)
    assert markdown == (
        "What was found\n\n"
        "| Name | Accuracy |\n"
        "|---|---:|\n"
        "| a | 90.1 % (88.0 to 92.0) |\n"
        "| b (best) | \u22120.5 \u00b1 0.2 |\n"
    )
    assert latex.splitlines() == [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        r"\caption{What was found}",
        r"\begin{tabular}{lr}",
        r"\toprule",
        r"Name & Accuracy \\",
        r"\midrule",
        r"a & 90.1\,\% (88.0 to 92.0) \\",
        r"b (best) & $-$0.5 $\pm$ 0.2 \\",
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]


def test_special_characters(copied):
    cell = HARD.replace("&", "&amp;")
    markdown, latex = copied(table("<th>Class</th>", f"<td>{cell}</td>", "<td>*a* &lt;b&gt; `c`</td>"))
    assert r"| 50 % of $x\_1$ & {a} #2 ~ b^2 \\ c\|d |" in markdown
    assert r"| \*a\* \<b> \`c\` |" in markdown
    expected = r"50 \% of \$x\_1\$ \& \{a\} \#2 \textasciitilde{} b\textasciicircum{}2 \textbackslash{} c$|$d \\"
    assert expected in latex
    assert r"{}*a* $<$b$>$ `c` \\" in latex
    _, latex = copied(table("<th>[0, 1]</th><th>*</th>", "<td>[2, 3]</td><td>[4]</td>"))
    lines = latex.splitlines()
    assert r"{}[0, 1] & * \\" in lines and r"{}[2, 3] & [4] \\" in lines


def test_bars_and_what_is_hidden_are_left_out(copied):
    shown = table(
        "<th>Class</th><th>Scale<span class=ends aria-hidden=true>0 100</span></th><th>Images</th><td></td>",
        "<th>a</th><td><span class=strip aria-label=x><i></i></span></td>"
        "<td><span class=count>3</span><span class=said>99</span></td><td><span class=amount></span></td>",
        "<th>b</th><td colspan=3>failed: no room</td>",
    )
    markdown, _ = copied(shown)
    assert markdown.splitlines() == ["| Class | Images |", "|---|---:|", "| a | 3 |", "| b | failed: no room |"]


def test_cells_over_several_columns_and_rows(copied):
    shown = (
        "<table><thead><tr><th rowspan=2>Name</th><th colspan=2>Test</th></tr><tr><th>Accuracy</th><th>Loss</th></tr>"
        "</thead><tbody><tr><th colspan=3>Group one</th></tr><tr><th rowspan=2>a</th><td>1</td><td>2</td></tr>"
        "<tr><td>3</td><td>4</td></tr></tbody><tbody><tr><th>b</th><td>5</td><td>6</td></tr></tbody></table>"
    )
    markdown, latex = copied(shown)
    assert markdown.splitlines() == [
        "| Name | Test Accuracy | Test Loss |",
        "|---|---:|---:|",
        "| Group one |  |  |",
        "| a | 1 | 2 |",
        "|  | 3 | 4 |",
        "| b | 5 | 6 |",
    ]
    lines = latex.splitlines()
    start = lines.index(r"\toprule")
    assert lines[start + 1 : -3] == [
        r"Name & \multicolumn{2}{c}{Test} \\",
        r" & Accuracy & Loss \\",
        r"\midrule",
        r"\multicolumn{3}{l}{Group one} \\",
        r"a & 1 & 2 \\",
        r" & 3 & 4 \\",
        r"\midrule",
        r"b & 5 & 6 \\",
    ]


def test_keyboard_and_the_word_that_it_worked(page, copied):
    copied(table("<th>A</th>", "<td>1</td>"))
    button = page.get_by_role("button", name="Copy this table as LaTeX")
    button.focus()
    page.wait_for_function("getComputedStyle(document.querySelector('.copy')).opacity === '1'")
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelector('.copy [role=status]').textContent === 'copied'")
    assert len(page.evaluate("window.copied")) == 3


def test_without_a_clipboard_a_field_is_copied(browser, tmp_path):
    context = browser.new_context()
    context.add_init_script(
        """
        Object.defineProperty(navigator, "clipboard", {value: undefined});
        window.copied = [];
        document.execCommand = name => { window.copied.push(document.activeElement.value); return name === "copy"; };
        """
    )
    page, file = context.new_page(), tmp_path / "page.html"
    file.write_text(f"<!doctype html><main>{table('<th>A</th>', '<td>1</td>')}</main><script>{SCRIPT}</script>")
    page.goto(file.as_uri())
    page.get_by_role("button", name="Copy this table as Markdown").click()
    assert page.evaluate("window.copied") == ["| A |\n|---:|\n| 1 |\n"]
    assert page.evaluate("document.querySelector('[role=status]').textContent") == "copied"
    assert page.evaluate("document.activeElement.textContent") == "Markdown"
    assert page.locator("textarea").count() == 0
    context.close()


def test_every_table_of_a_report_can_be_copied(browser, made_up, tmp_path):
    folder = made_up.Builder(tmp_path / "run", made_up.Sample(evidence=True, failed=("mobilenet-lr0.01",))).build()
    path = folder.write_report(made_up.render(folder))
    context = browser.new_context(color_scheme="dark")
    context.add_init_script(CATCH)
    page = context.new_page()
    said = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(path.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    page.evaluate("document.querySelectorAll('.copy button').forEach(one => one.click())")
    tables, texts = page.locator("main table").count(), page.evaluate("window.copied")
    assert tables > 15 and len(texts) == 2 * tables and said == []
    for markdown, latex in zip(texts[::2], texts[1::2], strict=True):
        rows = [line for line in markdown.splitlines() if line.startswith("|")]
        assert len({line.replace("\\|", "").count("|") for line in rows}) == 1 and len(rows) > 2
        assert latex.count(r"\begin") == latex.count(r"\end") == 2
    summary = json.loads((folder.path / "summary.json").read_text())
    matrix = next(text for text in texts if text.startswith("Test images."))
    classes = summary["dataset"]["classes"]
    for name, row in zip(classes, summary["test"]["confusion_matrix"], strict=True):
        assert f"| {name} | {' | '.join(map(str, row))} |" in matrix
    ranking = next(text for text in texts if text.startswith("All candidates"))
    assert "failed" in ranking and "folds:" not in ranking
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.querySelector('.copy')).display") == "none"
    context.close()


def test_shares_are_copied_where_shares_are_shown(browser, made_up, tmp_path):
    folder = made_up.Builder(tmp_path / "run", made_up.Sample(classes=("cat", "dog"))).build()
    context = browser.new_context()
    context.add_init_script(CATCH)
    page = context.new_page()
    page.goto(folder.write_report(made_up.render(folder)).as_uri())
    matrix = page.locator(".matrices figure").first
    shown = {}
    for name in ("as-counts", "as-shares", "as-said"):
        page.evaluate(f"document.getElementById('{name}').click()")
        matrix.get_by_role("button", name="Copy this table as Markdown").click(force=True)
        shown[name] = page.evaluate("window.copied").pop().splitlines()[-2]
    (right, wrong), below = folder.summary().test.confusion_matrix
    assert shown["as-counts"] == f"| cat | {right} | {wrong} |"
    assert shown["as-shares"] == f"| cat | {100 * right / (right + wrong):.1f} | {100 * wrong / (right + wrong):.1f} |"
    columns = (right + below[0], wrong + below[1])
    assert shown["as-said"] == f"| cat | {100 * right / columns[0]:.1f} | {100 * wrong / columns[1]:.1f} |"
    context.close()
