//! Reads a `multipart/form-data` body that lies in memory whole.

/// One part of a form.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part<'a> {
    pub(super) name: String,
    pub(super) has_file_name: bool,
    pub(super) content: &'a [u8],
}

/// The boundary that a content type names.
pub(super) fn boundary(content_type: &str) -> Option<&str> {
    let mut parameters = content_type.split(';').skip(1).map(str::trim);
    let value = parameters.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then_some(value)
    })?;
    let value = value.trim().trim_matches('"');
    (1..=70).contains(&value.len()).then_some(value)
}

/// The parts of a form; `None` where it is broken.
pub(super) fn parts<'a>(body: &'a [u8], boundary: &str) -> Option<Vec<Part<'a>>> {
    let first = format!("--{boundary}");
    let next = format!("\r\n--{boundary}");
    let (_, mut rest) = split(body, first.as_bytes())?;
    let mut parts = Vec::new();
    loop {
        if rest.starts_with(b"--") {
            return Some(parts);
        }
        let (_, after) = split(rest, b"\r\n")?;
        let (part, after) = split(after, next.as_bytes())?;
        parts.push(one(part)?);
        rest = after;
    }
}

fn one(part: &[u8]) -> Option<Part<'_>> {
    let (head, content) = split(part, b"\r\n\r\n")?;
    let head = std::str::from_utf8(head).ok()?;
    let disposition = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let found = name.trim().eq_ignore_ascii_case("content-disposition");
        found.then_some(value)
    })?;
    Some(Part {
        name: parameter(disposition, "name")?,
        has_file_name: parameter(disposition, "filename").is_some()
            || parameter(disposition, "filename*").is_some(),
        content,
    })
}

fn parameter(disposition: &str, name: &str) -> Option<String> {
    let mut parameters = disposition.split(';').skip(1).map(str::trim);
    parameters.find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        let found = key.trim().eq_ignore_ascii_case(name);
        found.then(|| value.trim().trim_matches('"').to_owned())
    })
}

fn split<'a>(bytes: &'a [u8], at: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let place = bytes.windows(at.len()).position(|window| window == at)?;
    let (before, rest) = bytes.split_at_checked(place)?;
    Some((before, rest.get(at.len()..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_files_are_told_apart_and_bytes_are_kept() {
        let body = b"--B\r\nContent-Disposition: form-data; name=\"mode\"\r\n\r\nPassive\r\n--B\r\n\
            content-disposition: form-data; name=verifyImage; filename=\"a.jpg\"\r\nContent-Type: image/jpeg\r\n\r\n\xFF\r\n--\0\r\n--B--\r\n";
        let parts = parts(body, "B").unwrap();
        assert_eq!(parts.len(), 2);
        assert_eq!((parts[0].name.as_str(), parts[0].content), ("mode", &b"Passive"[..]));
        assert!(!parts[0].has_file_name);
        assert_eq!(
            (parts[1].name.as_str(), parts[1].content),
            ("verifyImage", &b"\xFF\r\n--\0"[..])
        );
        assert!(parts[1].has_file_name);
    }

    #[test]
    fn a_form_that_breaks_off_is_none() {
        for broken in [
            &b""[..],
            b"--B",
            b"--B\r\n",
            b"--B\r\nno head\r\n--B--",
            b"--B\r\nContent-Disposition: form-data; name=a\r\n\r\nx",
        ] {
            assert_eq!(parts(broken, "B"), None);
        }
        assert_eq!(parts(b"--B--\r\n", "B"), Some(Vec::new()));
    }

    #[test]
    fn the_boundary_may_be_quoted() {
        assert_eq!(boundary("multipart/form-data; charset=x; Boundary=\"a b\""), Some("a b"));
        assert_eq!(boundary("multipart/form-data; boundary=abc"), Some("abc"));
        assert_eq!(boundary("multipart/form-data"), None);
        assert_eq!(boundary("multipart/form-data; boundary="), None);
    }
}
