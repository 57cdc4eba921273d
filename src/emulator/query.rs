//! The `start` and `top` of a list.

use super::failure::Failure;
use super::store::Page;

const BAD_TOP: &str = "Top parameter is invalid. Valid range is between 1 and 1000 inclusive.";
const BAD_START: &str = "Start parameter is invalid. Please specify the 'Id' field of the last entry to continue the listing process.";
const LONG_START: &str = "'start' is too long. It must have no more than 64 characters.";

/// Reads a page of sessions, whose ids are text.
pub(super) fn sessions(query: Option<&str>) -> Result<Page<String>, Failure> {
    let query = query.unwrap_or_default();
    let start = parameter(query, "start").filter(|start| !start.is_empty());
    if start.as_ref().is_some_and(|start| start.chars().count() > 64) {
        return Err(Failure::bad_argument(LONG_START));
    }
    let top = parameter(query, "top").filter(|top| !top.is_empty());
    let top = top.map_or(Ok(1000), |top| top.parse());
    match top {
        Ok(top) if (1..=1000).contains(&top) => Ok(Page { start, top }),
        _ => Err(Failure::bad_argument(BAD_TOP)),
    }
}

/// Reads a page of audit entries, whose ids are numbers.
pub(super) fn audit(query: Option<&str>) -> Result<Page<i64>, Failure> {
    let Page { start, top } = sessions(query)?;
    let start = start.map(|start| start.parse()).transpose();
    let start = start.map_err(|_| Failure::bad_argument(BAD_START))?;
    Ok(Page { start, top })
}

/// The first value of a parameter, decoded; names are matched without regard to case.
fn parameter(query: &str, name: &str) -> Option<String> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        decode(key).eq_ignore_ascii_case(name).then(|| decode(value))
    })
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        bytes.push(match (first, after) {
            (b'+', _) => b' ',
            (b'%', [high, low, after @ ..]) => match hex(*high, *low) {
                Some(byte) => {
                    rest = after;
                    byte
                }
                None => b'%',
            },
            (other, _) => *other,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_defaults_to_a_thousand_from_the_start() {
        let whole = Page { start: None, top: 1000 };
        for query in [None, Some(""), Some("start=&top="), Some("other=1")] {
            assert_eq!(sessions(query), Ok(whole.clone()), "{query:?}");
        }
        let page = sessions(Some("TOP=20&start=a%2Fb+c%zz")).unwrap();
        assert_eq!(page, Page { start: Some("a/b c%zz".into()), top: 20 });
    }

    #[test]
    fn bounds_are_azures() {
        for top in ["0", "1001", "-1", "x", "1.5"] {
            let wrong = sessions(Some(&format!("top={top}"))).unwrap_err();
            assert_eq!(wrong.message, BAD_TOP);
        }
        assert!(sessions(Some(&format!("start={}", "a".repeat(64)))).is_ok());
        let wrong = sessions(Some(&format!("start={}", "a".repeat(65)))).unwrap_err();
        assert_eq!((wrong.code.as_str(), wrong.message.as_str()), ("BadArgument", LONG_START));
        assert_eq!(audit(Some("start=x")).unwrap_err().message, BAD_START);
        assert_eq!(audit(Some("start=9")).unwrap().start, Some(9));
    }
}
