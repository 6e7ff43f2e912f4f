"""The portal's one style sheet and its mark."""

from __future__ import annotations

MARK = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" role="img" aria-label="Tulle">
<rect width="32" height="32" rx="7" fill="#0b6e69"/>
<g fill="none" stroke="#fff" stroke-width="1.7" stroke-linejoin="round">
<path d="M16 5l5.2 3v6L16 17l-5.2-3V8z"/><path d="M10.8 14l5.2 3v6l-5.2 3-5.2-3v-6z"/>
<path d="M21.2 14l5.2 3v6l-5.2 3-5.2-3v-6z"/></g>
</svg>
"""

STYLE = """
:root {
  color-scheme: light dark;
  --ground: #fbfaf7; --sheet: #ffffff; --ink: #1c2526; --quiet: #566466; --line: #dcdfdb; --mark: #0b6e69;
  --good: #17703a; --busy: #0a5fa5; --poor: #a04a00; --bad: #b3261e; --code: #f1f2ee;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #111716; --sheet: #182120; --ink: #e4eae8; --quiet: #9db0ad; --line: #2c3a38; --mark: #63c7bf;
    --good: #6fce90; --busy: #7dbcf5; --poor: #f0a860; --bad: #ff9389; --code: #0d1312;
  }
}
* { box-sizing: border-box; }
html { font: 100%/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
body { margin: 0; background: var(--ground); color: var(--ink); }
.skip { position: absolute; left: -999rem; }
.skip:focus { left: 1rem; top: 1rem; background: var(--sheet); padding: .5rem 1rem; z-index: 1; }
.wrap { max-width: 72rem; margin: 0 auto; padding: 0 1.25rem; }
header.top { border-bottom: 1px solid var(--line); background: var(--sheet); }
header.top .wrap { display: flex; flex-wrap: wrap; align-items: center; gap: .25rem 1.25rem; padding-block: .8rem; }
header.top img { width: 1.75rem; height: 1.75rem; display: block; }
.home { display: flex; gap: .6rem; align-items: center; font-weight: 650; text-decoration: none; color: var(--ink); }
header.top nav { display: flex; gap: 1rem; margin-left: auto; flex-wrap: wrap; }
main.wrap { padding-block: 2rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .5rem; letter-spacing: -.01em; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .6rem; }
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; }
p { max-width: 46rem; margin: .4rem 0 .8rem; }
.lead { font-size: 1.12rem; }
.quiet { color: var(--quiet); }
a { color: var(--mark); text-underline-offset: .15em; }
a:focus-visible, pre:focus-visible, .scroll:focus-visible { outline: 3px solid var(--mark); outline-offset: 2px; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: .5rem; background: var(--sheet); }
table { border-collapse: collapse; width: 100%; font-size: .93rem; }
th, td { text-align: left; vertical-align: top; padding: .5rem .8rem; border-bottom: 1px solid var(--line); }
tr:last-child td, tr:last-child th { border-bottom: 0; }
thead th { color: var(--quiet); font-weight: 600; white-space: nowrap; }
tbody th { font-weight: 600; white-space: nowrap; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.time { white-space: nowrap; font-variant-numeric: tabular-nums; }
.state { font-weight: 600; } td .state { white-space: nowrap; }
.state::before { content: "● "; }
.state.good { color: var(--good); } .state.busy { color: var(--busy); }
.state.poor { color: var(--poor); } .state.bad { color: var(--bad); }
pre, code { font-family: ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, monospace; font-size: .88rem; }
pre { background: var(--code); border: 1px solid var(--line); border-radius: .5rem; padding: .8rem 1rem;
  overflow-x: auto; margin: .3rem 0 1rem; }
.ways { display: grid; grid-template-columns: repeat(auto-fit, minmax(19rem, 1fr)); gap: 0 1.25rem; }
.ways > * { min-width: 0; }
dl.facts { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.25rem; margin: 1rem 0; }
dl.facts dt { color: var(--quiet); } dl.facts dd { margin: 0; overflow-wrap: anywhere; }
.note { border-left: 4px solid var(--mark); background: var(--sheet); padding: .7rem 1rem; margin: 1rem 0; }
.note.bad { border-color: var(--bad); }
footer { border-top: 1px solid var(--line); color: var(--quiet); font-size: .88rem; padding-block: 1.2rem; }
"""
