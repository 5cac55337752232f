//! Flat XML: one root, and elements below it that hold nothing but text.
//!
//! Written so that every reader reads back the text that was meant. Read leniently, for replies are written by hand, and
//! without anything that has ever made an XML reader dangerous: no document type, no entities but the five that XML
//! itself names, no nesting, one pass.

/// The text as XML 1.0 can express it: characters that it cannot (most of the control characters) are dropped, and a
/// carriage return becomes a line feed, as every reader would make of it (XML 1.0, sections 2.2 and 2.11).
///
/// A text that is also signed must go through this first, so that the signature is over what the receiver reads.
#[must_use]
pub fn expressible(text: &str) -> String {
    text.replace("\r\n", "\n")
        .replace('\r', "\n")
        .chars()
        .filter(|character| is_character(*character))
        .collect()
}

/// XML 1.0, production 2.
fn is_character(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..='\u{10FFFF}')
}

/// Writes a flat document. Element names are the plugin's own and are taken as they are.
#[derive(Debug)]
pub struct Writer {
    root: &'static str,
    text: String,
}

impl Writer {
    /// A document with this root.
    #[must_use]
    pub fn new(root: &'static str) -> Self {
        Self { root, text: format!("<{root}>") }
    }

    /// Adds an element with escaped text.
    #[must_use]
    pub fn text(mut self, name: &str, value: &str) -> Self {
        let escaped = expressible(value).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        self.text.push_str(&format!("<{name}>{escaped}</{name}>"));
        self
    }

    /// Adds an element with a CDATA section. A `]]>` in the value would end it, and is divided between two.
    #[must_use]
    pub fn cdata(mut self, name: &str, value: &str) -> Self {
        let divided = expressible(value).replace("]]>", "]]]]><![CDATA[>");
        self.text.push_str(&format!("<{name}><![CDATA[{divided}]]></{name}>"));
        self
    }

    /// The document, without an XML declaration: it is UTF-8.
    #[must_use]
    pub fn finish(mut self) -> String {
        self.text.push_str(&format!("</{}>", self.root));
        self.text
    }
}

/// Reads a flat document: name and text of each element below the root, in order. Around the text, white space is
/// dropped, but not within CDATA. A byte order mark, declarations, comments and attributes are skipped.
///
/// # Errors
///
/// Says why it is no flat XML, for people.
pub fn read(document: &[u8]) -> Result<Vec<(String, String)>, &'static str> {
    let text = std::str::from_utf8(document).map_err(|_| "not UTF-8")?;
    let mut reader = Reader { rest: text.strip_prefix('\u{FEFF}').unwrap_or(text) };
    reader.skip_between()?;
    let Tag::Open(root) = reader.tag()? else { return Err("no element at the beginning") };
    let mut elements = Vec::new();
    loop {
        reader.skip_between()?;
        match reader.tag()? {
            Tag::Open(name) => elements.push((name.to_owned(), reader.content(name)?)),
            Tag::Empty(name) => elements.push((name.to_owned(), String::new())),
            Tag::Close(name) if name == root => break,
            Tag::Close(_) => return Err("an end tag that fits no start tag"),
        }
    }
    reader.skip_between()?;
    if reader.rest.is_empty() { Ok(elements) } else { Err("more than one root") }
}

enum Tag<'a> {
    Open(&'a str),
    Close(&'a str),
    Empty(&'a str),
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    /// Goes past white space, comments and declarations.
    fn skip_between(&mut self) -> Result<(), &'static str> {
        loop {
            self.rest = self.rest.trim_start();
            if self.take("<!--") {
                self.until("-->")?;
            } else if self.take("<?") {
                self.until("?>")?;
            } else {
                return Ok(());
            }
        }
    }

    fn tag(&mut self) -> Result<Tag<'a>, &'static str> {
        if self.rest.starts_with("<!") {
            return Err("a document type or the like, which is not read");
        }
        if !self.take("<") {
            return Err("text where a tag is wanted");
        }
        let inner = self.until(">")?;
        let (inner, closes) = inner.strip_prefix('/').map_or((inner, false), |inner| (inner, true));
        let (inner, is_empty) = inner.strip_suffix('/').map_or((inner, false), |inner| (inner, true));
        let name = inner.split_ascii_whitespace().next().unwrap_or_default();
        // An element's name follows its bracket at once.
        if name.is_empty() || !inner.starts_with(name) || name.contains(['<', '&', '=', '"']) {
            return Err("a tag without a name");
        }
        match (closes, is_empty) {
            (true, true) => Err("a tag that closes twice"),
            (true, false) => Ok(Tag::Close(name)),
            (false, true) => Ok(Tag::Empty(name)),
            (false, false) => Ok(Tag::Open(name)),
        }
    }

    /// The text of an element up to its end tag.
    fn content(&mut self, name: &str) -> Result<String, &'static str> {
        // White space at either end is dropped unless it stands in CDATA: each piece knows.
        let mut content = String::new();
        let mut kept = 0;
        loop {
            let at = self.rest.find('<').ok_or("an element without an end")?;
            let (text, rest) = self.rest.split_at(at);
            self.rest = rest;
            let text = unescaped(text)?;
            content.push_str(if content.is_empty() { text.trim_start() } else { &text });
            kept = kept.max(content.trim_end().len());
            if self.take("<![CDATA[") {
                content.push_str(self.until("]]>")?);
                kept = content.len();
            } else if self.take("<!--") {
                self.until("-->")?;
            } else {
                content.truncate(kept);
                return match self.tag()? {
                    Tag::Close(closed) if closed == name => Ok(content),
                    Tag::Close(_) => Err("an end tag that fits no start tag"),
                    Tag::Open(_) | Tag::Empty(_) => Err("an element within an element"),
                };
            }
        }
    }

    fn take(&mut self, beginning: &str) -> bool {
        let rest = self.rest.strip_prefix(beginning);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn until(&mut self, end: &str) -> Result<&'a str, &'static str> {
        let (before, after) = self.rest.split_once(end).ok_or("it ends in the middle")?;
        self.rest = after;
        Ok(before)
    }
}

/// Resolves the five named entities and character references.
fn unescaped(text: &str) -> Result<String, &'static str> {
    let mut unescaped = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        let (name, after) = after.split_once(';').ok_or("a `&` that begins no entity")?;
        unescaped.push_str(before);
        unescaped.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => character_reference(name).ok_or("an entity that XML does not name")?,
        });
        rest = after;
    }
    unescaped.push_str(rest);
    Ok(unescaped)
}

fn character_reference(name: &str) -> Option<char> {
    let digits = name.strip_prefix('#')?;
    let (digits, radix) = digits.strip_prefix('x').map_or((digits, 10), |digits| (digits, 16));
    // `from_str_radix` alone would take a sign.
    let number = digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(digits)?;
    u32::from_str_radix(number, radix).ok().and_then(char::from_u32).filter(|found| is_character(*found))
}

#[cfg(test)]
#[path = "xml_tests.rs"]
mod tests;
