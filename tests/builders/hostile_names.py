"""Names that a stranger may give to anything."""

from __future__ import annotations

TERMINAL = (
    *("\x1b]0;owned\x07title", "\x1b[2J\x1b[31mred", "\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\", "\x1bcreset"),
    *("\x9b31mC1", "\x90dcs\x9c", "\x85next", "over\rwritten", "back\x08\x08space", "two\nlines", "\x0b\x0cfeed", "\x7fdel"),
    *("a\u2028b\u2029c", "\u202egnol", "\u2066isolate\u2069", "\u200fmark", "zero\u200bwidth\ufeff", "soft\xadhyphen"),
    *(
        "\U000e0041tag",
        "\u3164filler",
        "nbsp\xa0here",
        "\ue000private",
        "[red]rich[/red]",
        "[link=https://evil.example]x[/link]",
    ),
)
"""What drives a terminal, or hides in it."""

COMMANDS = (
    "::error file=x::owned",
    "  ::add-mask::x",
    "##[error]owned",
    "##vso[task.setvariable variable=x]owned",
    "%0A::error::x",
)
"""What a service that runs workflows would obey."""

FORMULAS = (
    *("=1+1", '=HYPERLINK("https://evil.example";"x")', "@SUM(1)", "+1+1", "-2+3", "-rising", "\t=1", "\r=1", " =1", "'=1"),
    *("\uff1d1+1", "\uff0b1", "\uff0d1", "\uff20x", "a;=1+1", "a; @x", 'a;"=1', "'", "\\x3d", "'\\n", "\u200b=1"),
)
"""What a spreadsheet would compute, here or where semicolons stand between cells; and what could be taken for an escape."""

MARKDOWN = (
    *(
        "# heading",
        "heading #",
        "> quote",
        "- item",
        "1. one",
        "===",
        "| cell |",
        "`code`",
        "```fence",
        "a`b|c",
        "    indented",
    ),
    *("[x](https://evil.example)", "![x](https://evil.example/x.png)", "[x]: https://evil.example", "<https://evil.example>"),
    *("https://evil.example", "(http://evil.example)", "x:https://evil.example", "www.evil.example", "ftp://evil.example"),
    *(
        "someone@evil.example",
        "mailto:x@evil.example",
        "xmpp:x@evil.example",
        "@everyone",
        "(@team)",
        "/@team",
        "owner@deadbeef",
    ),
    *("#1", "GH-1", "gh-1", "owner/repo#1", "(#1)", "$math$", "$a b$", "$$", "a$b`c`$d", ":smile:", ":+1:", "[^1]", "[ ] todo"),
    *("**bold**", "__bold__", "_it_", "~~gone~~", "https://a|b", "@a`b", "w\\ww.evil.example", "https\\://evil.example", "\\"),
)
"""What Markdown, GitHub's above all, would make more of than text."""

MARKUP = (
    *("<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<!-- x", "</style></title>", "\"'><svg onload=alert(1)>"),
    *("&copy;", "&#64;x", "{{ 7*7 }}{% x %}", "javascript:alert(1)", "\\input{/etc/passwd}", "\\write18{x}", "%&_^~{}#$", "--"),
    *(
        "---\nlicense: evil",
        "--- !x",
        "!!python/object/apply:os.system [x]",
        "a: b",
        "*alias",
        "&anchor x",
        "- {id: evil}",
        "'\"",
    ),
)
"""HTML, templates, LaTeX, YAML."""

EVERYTHING = (
    "=1;=2\x1b]0;x\x07\u202e\x9b\u3164\n::error::\n# [x](https://evil.example) ![x](www.evil.example) @team a@evil.example #1 "
    "$m$ :smile: <img src=x onerror=alert(1)> <!-- `c` | *d* __e__ ~~f~~ &copy; \\write18{x} %&_^{}#$ ##[error] [red]g[/red] "
    "{{ 7*7 }}\n---\nlicense: evil"
)
"""All of it in one name: wherever text stands as it was given, it is seen."""

HOSTILE = (*TERMINAL, *COMMANDS, *FORMULAS, *MARKDOWN, *MARKUP)
