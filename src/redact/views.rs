//! A text as it is meant: with escapes undone, each character with where it stands.
//!
//! JSON stands in a form that stands in a URL, and no one says so. So the text is looked at in several ways: as it is, and with
//! one layer after the other taken off, of each kind, in every order. In one of these views whatever was put into it
//! stands as its writer wrote it, so that quotes that end a text are told from those within it.

use std::ops::Range;

/// So many layers are taken off, beside none.
const LAYERS: usize = 3;

/// A character of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// What is meant.
    pub(super) is: char,
    /// Where it stands in the text, in bytes.
    pub(super) at: Range<usize>,
}

/// The text with some layers taken off. The characters' places follow each other without a gap.
pub(super) type View = Vec<Seen>;

/// All views of a text; first the text as it is. No two are the same.
pub(super) fn views(text: &str) -> Vec<View> {
    let character = |(at, is): (usize, char)| Seen { is, at: at..at + is.len_utf8() };
    let mut views: Vec<View> = vec![text.char_indices().map(character).collect()];
    let mut begun = 0;
    for _ in 0..LAYERS {
        let before = begun..views.len();
        begun = views.len();
        for index in before {
            for layer in [percent, backslash, entity] {
                let taken_off = views.get(index).map(|view| take_off(view, layer)).unwrap_or_default();
                if !views.contains(&taken_off) {
                    views.push(taken_off);
                }
            }
        }
    }
    views
}

/// A name as it is, and without the escapes that forms and JSON have in names.
pub(super) fn spellings(name: &[Seen]) -> [String; 3] {
    let text = |view: &[Seen]| view.iter().map(|one| one.is).collect();
    [text(name), text(&take_off(name, percent)), text(&take_off(name, backslash))]
}

/// An escape that begins here: what is meant, and how many characters it takes.
type Layer = fn(&[Seen]) -> Option<(char, usize)>;

fn take_off(view: &[Seen], layer: Layer) -> View {
    let mut taken_off = Vec::with_capacity(view.len());
    let mut rest = view;
    while let Some(first) = rest.first() {
        let (is, count) = layer(rest).unwrap_or((first.is, 1));
        let end = rest.get(count - 1).map_or(first.at.end, |last| last.at.end);
        taken_off.push(Seen { is, at: first.at.start..end });
        rest = rest.get(count..).unwrap_or_default();
    }
    taken_off
}

/// `%41`, and all bytes of a longer character (RFC 3986, section 2.1). What is no UTF-8 counts a byte as a character.
fn percent(rest: &[Seen]) -> Option<(char, usize)> {
    let byte = |at: usize| -> Option<u8> {
        rest.get(at).filter(|one| one.is == '%')?;
        u8::try_from(hexadecimal(rest.get(at + 1..at + 3)?)?).ok()
    };
    let first = byte(0)?;
    let length = match first {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    };
    let bytes: Vec<u8> = (0..length).map_while(|index| byte(index * 3)).collect();
    let character = std::str::from_utf8(&bytes).ok().and_then(|text| text.chars().next());
    Some(character.map_or((char::from(first), 3), |character| (character, bytes.len() * 3)))
}

/// `\"`, `\n`, `\u00e9` (RFC 8259, section 7).
fn backslash(rest: &[Seen]) -> Option<(char, usize)> {
    let escape = rest.first().filter(|one| one.is == '\\').and(rest.get(1))?;
    Some(match escape.is {
        'n' | 'r' => ('\n', 2),
        't' | 'b' | 'f' => (' ', 2),
        'u' => {
            // Half of a pair stands for no character that is looked for.
            let value = hexadecimal(rest.get(2..6)?)?;
            (char::from_u32(value).unwrap_or(char::REPLACEMENT_CHARACTER), 6)
        }
        other => (other, 2),
    })
}

fn hexadecimal(digits: &[Seen]) -> Option<u32> {
    digits.iter().try_fold(0, |value, digit| Some(value * 16 + digit.is.to_digit(16)?))
}

/// `&quot;`, `&#34;`, `&#x22;` (XML 1.0, section 4).
fn entity(rest: &[Seen]) -> Option<(char, usize)> {
    /// `#x10ffff`, and room for a few zeros.
    const LONGEST: usize = 12;
    let after = rest.first().filter(|one| one.is == '&').and(rest.get(1..))?;
    let length = after.iter().take(LONGEST).position(|one| one.is == ';')?;
    let name: String = after.get(..length)?.iter().map(|one| one.is).collect();
    let is = match name.as_str() {
        "quot" => '"',
        "apos" => '\'',
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        number => {
            let number = number.strip_prefix('#')?;
            let value = match number.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16),
                None => number.parse(),
            };
            char::from_u32(value.ok()?)?
        }
    };
    Some((is, length + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_a_view(text: &str, expected: &str) {
        let views = views(text);
        let meant = |view: &View| view.iter().map(|one| one.is).collect::<String>();
        assert!(views.iter().any(|view| meant(view) == expected), "{text}: {views:?}");
        for view in views {
            let end = view.iter().fold(0, |end, one| {
                assert_eq!(one.at.start, end, "{text}");
                one.at.end
            });
            assert_eq!(end, text.len(), "{text}");
        }
    }

    #[test]
    fn escapes_are_undone_layer_by_layer() {
        for (text, expected) in [
            ("", ""),
            ("plain é 姓名", "plain é 姓名"),
            ("%7B%22a%22%3A%E5%A7%93", "{\"a\":姓"),
            ("%2522 %252522", "\" %22"),
            ("%252522", "\""),
            ("100% %zz %", "100% %zz %"),
            ("%ff%E5", "\u{ff}\u{e5}"),
            (r#"\"a\\\"b\u0022\u59d3"#, "\"a\\\"b\"姓"),
            (r#"\"a\\\"b\u0022\u59d3"#, "\"a\"b\"姓"),
            ("%5C%22", "\""),
            ("&lt;a&gt; &quot;&#34;&#x22;&amp;quot; &nbsp; &", "<a> \"\"\"\" &nbsp; &"),
            (r"\\\\\\&quot;", "\\\""),
            ("\\", "\\"),
            (r"\u12", r"\u12"),
            ("&&&;", "&&&;"),
        ] {
            is_a_view(text, expected);
        }
        assert_eq!(views("as it is").len(), 1);
    }
}
