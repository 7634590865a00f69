//! Columns of text, aligned by what is visible.

/// One line per row, columns two spaces apart, no space at a line's end. Styles count as nothing.
pub(super) fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(visible(cell));
        }
    }
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        // Padding is written only once another cell follows.
        let mut owed = 0;
        for (cell, width) in row.iter().zip(widths) {
            let shown = visible(cell);
            if shown > 0 {
                line.push_str(&" ".repeat(owed));
                line.push_str(cell);
                owed = 0;
            }
            // A column that is empty in every row takes no room.
            if width > 0 {
                owed += width - shown + 2;
            }
        }
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// The same, each line indented by two spaces.
pub(super) fn indented<const N: usize>(rows: &[[String; N]]) -> String {
    columns(rows).lines().map(|line| format!("  {line}\n")).collect()
}

fn visible(cell: &str) -> usize {
    anstream::adapter::strip_str(cell).map(|part| part.chars().count()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::style::{BAD, paint};

    #[test]
    fn columns_align_by_visible_text_and_empty_columns_take_no_room() {
        let rows = [
            [paint(BAD, "ab"), String::new(), "c".to_owned()],
            ["abcd".to_owned(), String::new(), String::new()],
        ];
        let text = columns(&rows);
        let plain: String = anstream::adapter::strip_str(&text).collect();
        assert_eq!(plain, "ab    c\nabcd\n");
    }
}
