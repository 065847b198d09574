//! Lines of a bounded length, and columns.

/// Longest line. Only words that are longer, such as image references, make a line longer.
const WIDTH: usize = 100;

/// A text broken between words into lines, each indented by this many spaces and ended by a newline.
pub(super) fn indented(text: &str, indent: usize) -> String {
    hanging(&" ".repeat(indent), &" ".repeat(indent), text)
}

/// The same behind a mark, with the following lines below the first one's text.
pub(super) fn bullet(mark: &str, text: &str, indent: usize) -> String {
    let margin = " ".repeat(indent);
    hanging(&format!("{margin}{mark}"), &format!("{margin}{}", " ".repeat(mark.len())), text)
}

fn hanging(first: &str, rest: &str, text: &str) -> String {
    let mut out = String::new();
    let mut line = first.to_owned();
    let mut empty = true;
    for word in text.split_whitespace() {
        if !empty && length(&line) + 1 + length(word) > WIDTH {
            out.push_str(line.trim_end());
            out.push('\n');
            rest.clone_into(&mut line);
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    if !empty {
        out.push_str(&line);
        out.push('\n');
    }
    out
}

/// Rows with aligned columns, two spaces apart.
pub(super) fn table(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| length(cell)).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

fn length(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words() {
        let words = "word ".repeat(30);
        let text = bullet("1. ", &words, 2);
        assert!(text.starts_with("  1. word word"), "{text}");
        assert!(text.lines().nth(1).unwrap().starts_with("     word"), "{text}");
        assert!(text.lines().all(|line| line.len() <= WIDTH && !line.ends_with(' ')), "{text}");
        let long = "x".repeat(120);
        assert_eq!(indented(&format!("a {long} b"), 1), format!(" a\n {long}\n b\n"));
        assert_eq!(indented("", 4), "");
    }

    #[test]
    fn columns_are_aligned() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let lines = table(&[row(["A", "B", "C"]), row(["aaa", "é", ""]), row(["a", "bb", "c"])]);
        assert_eq!(lines, ["A    B   C", "aaa  é", "a    bb  c"]);
    }
}
