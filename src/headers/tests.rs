use super::*;

fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, HeaderValue::from_static(value));
    }
    headers
}

fn sent(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut heard = Heard::new(map(fields), Version::HTTP_11, Name::random());
    assert!(heard.begin_trace("session").is_none(), "nobody collects spans");
    heard.towards_azure()
}

#[test]
fn nothing_that_carries_authority_reaches_azure() {
    let to = sent(&[
        ("ocp-apim-subscription-key", "token"),
        ("authorization", "Bearer token"),
        ("cookie", "a=b"),
        ("x-forwarded-for", "1.2.3.4"),
        ("x-ms-authorization-auxiliary", "Bearer x"),
        ("proxy-authorization", "Basic x"),
        ("liveness-client-digest", "ab"),
        ("prefer", "wait=5"),
        ("accept-encoding", "gzip"),
        ("connection", "close, Accept-Language"),
        ("accept-language", "de"),
        ("accept", "application/json"),
        ("content-type", "application/json"),
    ]);
    let mut names: Vec<_> = to.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "accept",
            "accept-encoding",
            "client-request-id",
            "content-type",
            "traceparent",
            "via",
            "x-ms-client-request-id"
        ]
    );
}

#[test]
fn the_sdks_request_id_is_copied_to_the_documented_name() {
    let to = sent(&[("x-ms-client-request-id", "one")]);
    assert_eq!(
        (&to["client-request-id"], &to["x-ms-client-request-id"]),
        (&"one".parse().unwrap(), &"one".parse().unwrap())
    );
    let to = sent(&[("x-ms-client-request-id", "one"), ("client-request-id", "two")]);
    assert_eq!(
        (&to["client-request-id"], &to["x-ms-client-request-id"]),
        (&"two".parse().unwrap(), &"one".parse().unwrap())
    );
    let made = sent(&[]);
    assert!(Uuid::try_parse_ascii(made["client-request-id"].as_bytes()).is_ok());
}

#[test]
fn a_trace_is_passed_on_and_made_where_it_is_none() {
    let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let to = sent(&[("traceparent", good), ("tracestate", "a=1")]);
    assert_eq!(
        (&to["traceparent"], &to["tracestate"]),
        (&good.parse().unwrap(), &"a=1".parse().unwrap())
    );
    for bad in [
        "",
        "00-0-0-0",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ] {
        let to = sent(&[("traceparent", bad), ("tracestate", "a=1")]);
        assert!(is_traceparent(to["traceparent"].as_bytes()));
        assert!(!to.contains_key("tracestate"));
    }
}

#[test]
fn an_answer_passes_but_for_what_belongs_to_the_connection_or_leads_away() {
    let mut headers = map(&[
        ("apim-request-id", "1"),
        ("x-ms-error-code", "SessionNotFound"),
        ("retry-after", "3"),
        ("connection", "close, X-Hop"),
        ("x-hop", "1"),
        ("keep-alive", "timeout=5"),
        ("transfer-encoding", "chunked"),
        ("set-cookie", "a=b"),
        ("alt-svc", "h3"),
        ("x-ms-original-url", "https://face"),
        ("location", "https://face"),
        ("liveness-decision", "realface"),
    ]);
    towards_app(&mut headers);
    let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["apim-request-id", "retry-after", "x-ms-error-code"]);
}

#[test]
fn a_time_to_come_back_is_read_in_all_its_forms() {
    let now = Timestamp::from_second(784_111_777).unwrap();
    let read = |fields: &[(&'static str, &'static str)]| retry_after(&map(fields), now);
    for (value, seconds) in [
        ("0", Some(0)),
        (" 26 ", Some(26)),
        ("99999999999999999999", Some(u32::MAX)),
        // RFC 9110 §5.6.7: the three forms of one date, 26 seconds from now.
        ("Sun, 06 Nov 1994 08:50:03 GMT", Some(26)),
        ("Sunday, 06-Nov-94 08:50:03 GMT", Some(26)),
        ("Sun Nov  6 08:50:03 1994", Some(26)),
        ("Sun, 06 Nov 1994 08:40:03 GMT", Some(0)),
        ("Tue, 31 Dec 2199 23:59:59 GMT", Some(u32::MAX)),
        ("-1", None),
        ("+1", None),
        ("1.5", None),
        ("", None),
        ("soon", None),
    ] {
        assert_eq!(read(&[("retry-after", value)]), seconds, "{value}");
    }
    // By the clock of who says so.
    let date = ("date", "Sun, 06 Nov 1994 08:50:00 GMT");
    assert_eq!(read(&[("retry-after", "Sun, 06 Nov 1994 08:50:03 GMT"), date]), Some(3));
    assert_eq!(read(&[]), None);
}
