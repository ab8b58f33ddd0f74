//! Where a broken entry ends.

/// The place behind the value that starts at `start`, judged by brackets and quotes alone; `None`
/// where they do not close, or where it has none and no comma or bracket ends it.
pub(super) fn behind(bytes: &[u8], start: usize) -> Option<usize> {
    let (mut braces, mut brackets) = (0_i32, 0_i32);
    let mut at = start;
    let mut enclosed = false;
    while let Some(byte) = bytes.get(at) {
        let level = braces == 0 && brackets == 0;
        match byte {
            b',' | b']' | b'}' if level => return (at > start).then_some(at),
            b'{' => braces += 1,
            b'[' => brackets += 1,
            b'}' => braces -= 1,
            b']' => brackets -= 1,
            b'"' => at = closing(bytes, at + 1)?,
            _ => {}
        }
        at += 1;
        enclosed |= !level;
        if braces < 0 || brackets < 0 {
            return None;
        }
        if enclosed && braces == 0 && brackets == 0 {
            return Some(at);
        }
    }
    None
}

/// The place of the quote that ends a string.
fn closing(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::behind;

    #[test]
    fn brackets_and_quotes_say_where_it_ends() {
        for (text, end) in [
            ("{\"a\":1,},{}", Some(8)),
            ("{\"a\":\"}\",},{}", Some(10)),
            ("{\"a\":\"\\\"}\",},{}", Some(12)),
            ("{// }\n},{}", Some(5)),
            ("[1 2],3", Some(5)),
            ("nul,{}", Some(3)),
            ("nul]", Some(3)),
            (",{}", None),
            ("]", None),
            ("{\"a\":1", None),
            ("{\"a\":\"1}", None),
            ("{]}", None),
            ("nul", None),
            ("", None),
        ] {
            assert_eq!(behind(text.as_bytes(), 0), end, "{text}");
        }
    }
}
