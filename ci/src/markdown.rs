//! A comparison as markdown for a pull request. Not here: posting it.

use crate::compare::{Comparison, Gate, Verdict};
use crate::text::{cells, notes};
use record::Exit;

/// Mark by which a later run finds its own comment and edits it in place.
const MARKER: &str = "<!-- server-models:compare -->";

/// GitHub takes comments of up to 65,536 characters; some are left for what others add.
const MOST_BYTES: usize = 60_000;

/// The comparison as markdown: what needs eyes first, the rest folded.
#[must_use]
pub fn markdown(c: &Comparison) -> String {
    let title = match c.exit() {
        Exit::Fine => "No slowdown was seen",
        Exit::Found => "Something got worse",
        Exit::Usage => "Nothing could be compared",
        Exit::Unfit | Exit::Broken => "The comparison is not fit to judge",
    };
    let mut out = format!("{MARKER}\n### Server models: {}\n\n", title);
    let notable = |g: &&Gate| g.gates && matches!(g.verdict, Verdict::Slower | Verdict::Faster);
    let (loud, quiet): (Vec<&Gate>, Vec<&Gate>) = c.gates.iter().partition(notable);
    if !loud.is_empty() {
        out.push_str(&table(&loud));
        out.push('\n');
    }
    for note in notes(c) {
        out.push_str(&format!("- {}\n", escape(&note)));
    }
    if !quiet.is_empty() {
        let table = table(&quiet);
        if out.len() + table.len() > MOST_BYTES {
            out.push_str(&format!("\nThe other {} are left out here: see the JSON.\n", quiet.len()));
            return out;
        }
        out.push_str(&format!(
            "\n<details><summary>The other {}</summary>\n\n{}\n</details>\n",
            quiet.len(),
            table
        ));
    }
    out
}

fn table(gates: &[&Gate]) -> String {
    let mut out = String::from(
        "| scenario | metric | base | head | change | p | trials | could see | verdict |\n|---|---|--:|--:|--:|--:|--:|--:|---|\n",
    );
    for gate in gates {
        let cells = cells(gate).map(|c| escape(&c));
        out.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    out
}

/// Text that cannot become a tag, a column or a mention.
fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('|', "\\|").replace('@', "@\u{200b}")
}
