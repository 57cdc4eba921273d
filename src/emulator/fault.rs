//! Failures on demand: which answers they strike, how often, and what they do to them.

use http::header::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use super::failure::Form;
use super::keys::SlotNumber;

/// A fault as `POST /emulator/faults` and the script give it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FaultSpec {
    #[serde(default, rename = "match")]
    pub(super) matcher: Matcher,
    /// How many matching requests it leaves alone first.
    #[serde(default)]
    pub(super) skip: u64,
    /// How many it then strikes; `null` is all of them.
    #[serde(default = "once")]
    pub(super) times: Option<u64>,
    pub(super) effect: Effect,
}

/// Which requests a fault strikes: those that fit every member that is said.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Matcher {
    pub(super) route: Option<RouteName>,
    pub(super) method: Option<String>,
    pub(super) version: Option<String>,
    pub(super) key: Option<String>,
    pub(super) slot: Option<SlotNumber>,
    pub(super) session: Option<String>,
}

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RouteName {
    Session,
    Audit,
    Create,
    Delete,
    List,
    Image,
    Settings,
    Other,
}

/// What happens to the answer. The first four go together with each other and with one of the rest.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Effect {
    Delay {
        ms: u64,
    },
    Headers {
        add: Vec<Header>,
    },
    SlowBody {
        ms_per_chunk: u64,
        #[serde(default = "one_byte")]
        chunk_bytes: usize,
    },
    Gzip,
    Reset,
    Close,
    Hang,
    Truncated {
        keep_bytes: Option<usize>,
        #[serde(default)]
        reset: bool,
    },
    GarbageJson,
    GarbageHttp,
    EndlessBody,
    Status {
        #[serde(deserialize_with = "status")]
        status: u16,
        retry_after: Option<String>,
        code: Option<String>,
        message: Option<String>,
        form: Option<Form>,
        body: Option<String>,
        content_type: Option<String>,
    },
}

/// A header that is added to an answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "(String, String)", into = "(String, String)")]
pub(super) struct Header {
    pub(super) name: HeaderName,
    pub(super) value: HeaderValue,
}

/// A request as faults see it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) route: RouteName,
    pub(super) method: &'a str,
    pub(super) version: Option<&'static str>,
    pub(super) key: Option<&'a str>,
    pub(super) slot: Option<SlotNumber>,
    pub(super) session: Option<&'a str>,
}

/// A fault that is in force.
#[derive(Debug, Serialize)]
pub(super) struct Fault {
    pub(super) id: u64,
    struck: u64,
    #[serde(flatten)]
    spec: FaultSpec,
}

/// All faults, in the order they were put up.
#[derive(Debug, Default)]
pub(super) struct Faults {
    faults: Vec<Fault>,
    last_id: u64,
}

impl Faults {
    pub(super) fn add(&mut self, spec: FaultSpec) -> u64 {
        self.last_id = self.last_id.saturating_add(1);
        self.faults.push(Fault { id: self.last_id, struck: 0, spec });
        self.last_id
    }

    pub(super) fn all(&self) -> &[Fault] {
        &self.faults
    }

    /// Takes down one fault, or all.
    pub(super) fn remove(&mut self, id: Option<u64>) -> bool {
        let before = self.faults.len();
        self.faults.retain(|fault| id.is_some_and(|id| fault.id != id));
        id.is_none() || self.faults.len() < before
    }

    /// What strikes this request: any number of the effects that go together, one of the others.
    pub(super) fn strike(&mut self, call: &Call<'_>) -> Vec<(u64, Effect)> {
        let mut struck: Vec<(u64, Effect)> = Vec::new();
        for fault in &mut self.faults {
            let taken = struck.iter().any(|(_, effect)| !effect.goes_together());
            let possible = fault.spec.effect.goes_together() || !taken;
            if possible && fault.spec.matcher.fits(call) && fault.take() {
                struck.push((fault.id, fault.spec.effect.clone()));
            }
        }
        struck
    }
}

impl Fault {
    fn take(&mut self) -> bool {
        if self.spec.skip > 0 {
            self.spec.skip -= 1;
            return false;
        }
        match &mut self.spec.times {
            Some(0) => return false,
            Some(left) => *left -= 1,
            None => {}
        }
        self.struck = self.struck.saturating_add(1);
        true
    }
}

impl Matcher {
    fn fits(&self, call: &Call<'_>) -> bool {
        let text = |want: &Option<String>, have: Option<&str>| {
            let same = |want: &String| have.is_some_and(|have| have.eq_ignore_ascii_case(want));
            want.as_ref().is_none_or(same)
        };
        self.route.is_none_or(|route| route == call.route)
            && self.slot.is_none_or(|slot| Some(slot) == call.slot)
            && self.key.as_deref().is_none_or(|key| Some(key) == call.key)
            && text(&self.method, Some(call.method))
            && text(&self.version, call.version)
            && text(&self.session, call.session)
    }
}

impl Effect {
    const fn goes_together(&self) -> bool {
        matches!(
            self,
            Self::Delay { .. } | Self::Headers { .. } | Self::SlowBody { .. } | Self::Gzip
        )
    }
}

impl TryFrom<(String, String)> for Header {
    type Error = String;

    fn try_from((name, value): (String, String)) -> Result<Self, Self::Error> {
        Ok(Self {
            name: name.parse().map_err(|_| format!("'{name}' cannot be a header's name"))?,
            value: value.parse().map_err(|_| format!("'{value}' cannot be a header's value"))?,
        })
    }
}

impl From<Header> for (String, String) {
    fn from(header: Header) -> Self {
        let value = String::from_utf8_lossy(header.value.as_bytes()).into_owned();
        (header.name.to_string(), value)
    }
}

#[expect(clippy::unnecessary_wraps, reason = "serde wants the member's own type")]
const fn once() -> Option<u64> {
    Some(1)
}

const fn one_byte() -> usize {
    1
}

fn status<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    let status = u16::deserialize(deserializer)?;
    if (200..=599).contains(&status) {
        return Ok(status);
    }
    Err(serde::de::Error::custom("a status is 200 to 599"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: Call<'_> = Call {
        route: RouteName::Session,
        method: "GET",
        version: Some("v1.2"),
        key: Some("k"),
        slot: Some(SlotNumber::One),
        session: Some("s"),
    };

    fn faults(specs: &[&str]) -> Faults {
        let mut faults = Faults::default();
        for spec in specs {
            faults.add(serde_json::from_str(spec).unwrap());
        }
        faults
    }

    fn ids(faults: &mut Faults, call: &Call<'_>) -> Vec<u64> {
        faults.strike(call).into_iter().map(|(id, _)| id).collect()
    }

    #[test]
    fn a_fault_strikes_once_unless_told_otherwise() {
        let mut once = faults(&[r#"{"effect":"reset"}"#]);
        assert_eq!(ids(&mut once, &CALL), [1]);
        assert!(ids(&mut once, &CALL).is_empty());
        let mut later = faults(&[r#"{"effect":"reset","skip":1,"times":null}"#]);
        assert!(ids(&mut later, &CALL).is_empty());
        assert_eq!(ids(&mut later, &CALL), [1]);
        assert_eq!(ids(&mut later, &CALL), [1]);
    }

    #[test]
    fn every_member_of_the_match_must_fit() {
        for (matcher, fits) in [
            (
                r#"{"route":"session","method":"get","version":"V1.2","key":"k","slot":1,"session":"S"}"#,
                true,
            ),
            (r#"{"route":"audit"}"#, false),
            (r#"{"method":"POST"}"#, false),
            (r#"{"version":"v1.3-preview.1"}"#, false),
            (r#"{"key":"K"}"#, false),
            (r#"{"slot":2}"#, false),
            (r#"{"session":"t"}"#, false),
        ] {
            let spec = format!(r#"{{"match":{matcher},"effect":"close"}}"#);
            assert_eq!(!ids(&mut faults(&[&spec]), &CALL).is_empty(), fits, "{matcher}");
        }
    }

    #[test]
    fn a_delay_joins_another_fault_but_two_ends_take_turns() {
        let mut faults = faults(&[
            r#"{"effect":"reset"}"#,
            r#"{"effect":{"delay":{"ms":5}}}"#,
            r#"{"effect":"close"}"#,
        ]);
        assert_eq!(ids(&mut faults, &CALL), [1, 2]);
        assert_eq!(ids(&mut faults, &CALL), [3]);
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for (spec, reason) in [
            (r#"{"effect":"rest"}"#, "unknown variant `rest`"),
            (r#"{"effect":{"delay":{"ms":1,"s":1}}}"#, "unknown field `s`"),
            (r#"{"effect":{"status":{"status":99}}}"#, "a status is 200 to 599"),
            (r#"{"effect":{"headers":{"add":[["a b","c"]]}}}"#, "'a b' cannot be a header's name"),
            (r#"{"match":{"slot":3},"effect":"reset"}"#, "a slot is 1 or 2"),
            ("{}", "missing field `effect`"),
        ] {
            let wrong = serde_json::from_str::<FaultSpec>(spec).unwrap_err();
            assert!(wrong.to_string().contains(reason), "{wrong}");
        }
    }
}
