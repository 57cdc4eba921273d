//! One pass over the features: every request is printed with its answer, and every answer is checked.

use bytes::Bytes;
use http::{Method, Request, Response};
use serde_json::{Value, json};

use super::super::keys;
use super::super::plain::fetch;
use super::super::{Failure, say};
use super::{Stage, TOKEN, traffic};
use crate::emulator::attempt_digest;

const GA: &str = "/face/v1.2/detectLiveness-sessions";
const PREVIEW: &str = "/face/v1.2-preview.1/detectLiveness/singleModal/sessions";

/// Makes the pass. Done only if every answer was right.
pub(super) async fn once(stage: &Stage) -> Result<(), Failure> {
    let mut pass = Pass { stage, wrong: 0 };
    let done = pass.all().await;
    match (done, pass.wrong) {
        (Ok(()), 0) => {
            say("Every answer was right.");
            Ok(())
        }
        (Ok(()), wrong) => Err(Failure::Failed(format!("{wrong} answers were wrong"))),
        (Err(told), _) => Err(Failure::Failed(told)),
    }
}

struct Pass<'a> {
    stage: &'a Stage,
    wrong: u32,
}

impl Pass<'_> {
    async fn all(&mut self) -> Result<(), String> {
        traffic::open(self.stage).await?;
        let (_, finished) = traffic::SESSIONS[0];
        self.life().await?;
        self.sessions(finished).await?;
        self.digests(finished).await?;
        self.audits(finished).await?;
        self.mistakes().await?;
        self.stranger(finished).await?;
        self.rotation(finished).await?;
        self.metrics().await
    }

    /// A session is created, deleted and gone.
    async fn life(&mut self) -> Result<(), String> {
        let body = traffic::a_session();
        let answer = self.ask("create a session", Method::POST, GA, Some(&body)).await?;
        let id = self.expect(&answer, 200, "/sessionId").unwrap_or_default();
        let path = format!("{GA}/{id}");
        let answer = self.ask("delete it", Method::DELETE, &path, None).await?;
        self.expect_status(&answer, 204);
        let answer = self.ask("it is gone", Method::GET, &path, None).await?;
        self.expect_value(&answer, 404, "/error/code", "SessionNotFound");
        Ok(())
    }

    async fn sessions(&mut self, finished: &str) -> Result<(), String> {
        let (_, running) = traffic::SESSIONS[4];
        let path = format!("{GA}/{running}");
        let answer = self.ask("a running session", Method::GET, &path, None).await?;
        self.expect_value(&answer, 200, "/status", "Running");
        let path = format!("{GA}/{finished}");
        let title = "a finished session, its dead token blanked";
        let answer = self.ask(title, Method::GET, &path, None).await?;
        self.expect_value(&answer, 200, "/status", "Succeeded");
        self.expect_value(&answer, 200, "/authToken", "");
        self.expect_header(&answer, "cache-status", "livegate; fwd=miss; stored");
        self.expect_header(&answer, "liveness-decision", "realface;attempt=2;attempts=2");
        let title = "the same again: a hit, which costs Azure no call";
        let answer = self.ask(title, Method::GET, &path, None).await?;
        self.expect_header(&answer, "cache-status", "livegate; hit; ttl=");
        Ok(())
    }

    /// The second attempt's digest was registered, and the session is kept, so that both can be compared.
    async fn audits(&mut self, finished: &str) -> Result<(), String> {
        let path = format!("{PREVIEW}/{finished}/audit?start=0&top=10");
        let title = "its audit list: Azure's entries, and in each what the gateway knows of it";
        let answer = self.ask(title, Method::GET, &path, None).await?;
        self.expect_value(&answer, 200, "/0/gateway/outcome", "client-error");
        self.expect_value(&answer, 200, "/1/gateway/decision", "realface");
        self.expect_value(&answer, 200, "/1/gateway/digest/verdict", "match");
        self.expect_value(&answer, 200, "/1/gateway/crossCheck", "agrees");
        let path = format!("{GA}/{finished}/audit");
        let title = "from v1.2 on Azure has none: made of the session, and marked as made";
        let answer = self.ask(title, Method::GET, &path, None).await?;
        self.expect_value(&answer, 200, "/1/gateway/decision", "realface");
        let body: Option<Value> = serde_json::from_slice(answer.body()).ok();
        let mark = body.as_ref().and_then(|body| body.pointer("/1/gateway/synthesised"));
        self.right(mark == Some(&Value::Bool(true)), "it is marked");
        Ok(())
    }

    /// The client reports a digest to its app, and the app hands it on.
    async fn digests(&mut self, finished: &str) -> Result<(), String> {
        let path = format!("{GA}/{finished}");
        let (first, second) = (attempt_digest(finished, 1), attempt_digest(finished, 2));
        for (title, digest, verdict) in [
            (
                "the digest that the client reported is the deciding attempt's",
                &second,
                "match;attempt=2",
            ),
            ("somebody changed it on its way", &first, "mismatch"),
        ] {
            say(format_args!("# {title}\nGET {path}\nliveness-client-digest: {digest}"));
            let gateway = &self.stage.gateway;
            let answer = traffic::send(gateway, Method::GET, &path, None, Some(digest)).await?;
            show(&answer);
            self.expect_value(&answer, 200, "/status", "Succeeded");
            self.expect_header(&answer, "liveness-digest", verdict);
        }
        let path = format!("/livegate/v1/sessions/{finished}/client-digest");
        let title = "or it was registered before: the first one stands";
        let body = json!({"digest": second});
        let answer = self.ask(title, Method::PUT, &path, Some(&body)).await?;
        self.expect_status(&answer, 204);
        self.expect_header(&answer, "liveness-digest", "match;attempt=2");
        let body = json!({"digest": first});
        let title = "another one is refused";
        let answer = self.ask(title, Method::PUT, &path, Some(&body)).await?;
        self.expect_value(&answer, 409, "/error/code", "DigestConflict");
        Ok(())
    }

    async fn mistakes(&mut self) -> Result<(), String> {
        let title = "an id that cannot be one costs no call";
        let answer = self.ask(title, Method::GET, &format!("{GA}/a%20b"), None).await?;
        self.expect_value(&answer, 400, "/error/code", "BadArgument");
        let path = "/face/v1.2/livenessSessions/abc/result";
        let answer = self.ask("a path that a tutorial gets wrong", Method::GET, path, None).await?;
        self.expect_value(&answer, 404, "/error/code", "ResourceNotFound");
        Ok(())
    }

    async fn stranger(&mut self, id: &str) -> Result<(), String> {
        say(format_args!("# a stranger\nGET {GA}/{id}"));
        let request = Request::get(format!("{}{GA}/{id}", self.stage.gateway))
            .header("Ocp-Apim-Subscription-Key", "guessed");
        let answer = fetch(
            request.body(http_body_util::Full::default()).map_err(|error| error.to_string())?,
        )
        .await?;
        show(&answer);
        self.expect_value(&answer, 401, "/error/code", "Unauthorized");
        Ok(())
    }

    /// Key 1 is regenerated, and the app notices nothing; then its file is changed.
    async fn rotation(&mut self, id: &str) -> Result<(), String> {
        let stage = self.stage;
        say("# key 1 is regenerated at the resource, and nobody tells the gateway");
        let answer = traffic::ask(
            &stage.emulator,
            Method::POST,
            "/emulator/keys",
            Some(&json!({"slot": 1, "regenerate": true})),
        )
        .await?;
        let key = self.expect(&answer, 200, "/value").unwrap_or_default();
        // Azure is asked for audit lists each time, so that the key is needed.
        let path = format!("{PREVIEW}/{id}/audit");
        let title = "served with key 2, in the same request";
        let answer = self.ask(title, Method::GET, &path, None).await?;
        self.expect(&answer, 200, "/0/digest");
        self.keys("primary", "safe to regenerate").await?;
        say("# the new key 1 is written into its file");
        stage.write("key-1", &key)?;
        let answer = traffic::ask(&stage.admin, Method::POST, "/reload", None).await?;
        self.expect_status(&answer, 200);
        let chosen = "/keys/emulator/use?slot=primary";
        let answer = traffic::ask(&stage.admin, Method::POST, chosen, None).await?;
        self.expect_status(&answer, 200);
        let title = "served with the new key";
        let answer = self.ask(title, Method::GET, &path, None).await?;
        self.expect(&answer, 200, "/0/digest");
        self.keys("secondary", "safe to regenerate").await
    }

    /// What `livegate keys` says, and whether that is the verdict on this slot.
    async fn keys(&mut self, slot: &str, verdict: &str) -> Result<(), String> {
        let answer = traffic::ask(&self.stage.admin, Method::GET, "/status", None).await?;
        let status: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
        let upstream = status.pointer("/upstreams/0").cloned().unwrap_or_default();
        say(format_args!("# livegate keys\n{}", keys::told(&upstream)));
        let is = |it: &Value, name: &str, value: &str| it.get(name).is_some_and(|it| it == value);
        let slots = upstream.get("keys").and_then(Value::as_array).into_iter().flatten();
        let right = slots.filter(|it| is(it, "slot", slot)).all(|it| is(it, "verdict", verdict));
        self.right(right, &format!("{slot} to be {verdict}"));
        Ok(())
    }

    async fn metrics(&mut self) -> Result<(), String> {
        let answer = traffic::ask(&self.stage.admin, Method::GET, "/metrics", None).await?;
        let text = String::from_utf8_lossy(answer.body()).into_owned();
        let shown = [
            "livegate_http_requests_total",
            "livegate_cache_requests_total",
            "livegate_liveness_attempts_total",
            "livegate_digest_checks_total",
            "livegate_key_requests_total",
            "livegate_key_failovers_total",
        ];
        let shown = |line: &&str| shown.iter().any(|name| line.starts_with(name));
        let counted: Vec<_> = text.lines().filter(shown).collect();
        say(format_args!("# what was counted\nGET /metrics\n{}\n", counted.join("\n")));
        self.right(
            counted.iter().any(|line| line.contains("code=\"200\"")),
            "requests are counted",
        );
        self.right(counted.iter().any(|line| line.contains("outcome=\"hit\"")), "hits are counted");
        self.right(text.contains("verdict=\"mismatch\"} 1"), "verdicts are counted once");
        let leaked = text.contains(TOKEN) || String::from_utf8_lossy(answer.body()).contains("eyJ");
        self.right(!leaked, "no secret is among them");
        Ok(())
    }

    async fn ask(
        &self,
        title: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Response<Bytes>, String> {
        say(format_args!("# {title}\n{method} {path}"));
        let answer = traffic::ask(&self.stage.gateway, method, path, body).await?;
        show(&answer);
        Ok(answer)
    }

    fn expect_status(&mut self, answer: &Response<Bytes>, status: u16) {
        self.right(answer.status() == status, &format!("status {status}"));
    }

    /// The text at a JSON pointer, which must be there.
    fn expect(&mut self, answer: &Response<Bytes>, status: u16, pointer: &str) -> Option<String> {
        self.expect_status(answer, status);
        let body: Option<Value> = serde_json::from_slice(answer.body()).ok();
        let text = body.as_ref().and_then(|body| body.pointer(pointer)?.as_str());
        self.right(text.is_some(), &format!("it has {pointer}"));
        text.map(str::to_owned)
    }

    fn expect_value(&mut self, answer: &Response<Bytes>, status: u16, pointer: &str, value: &str) {
        let found = self.expect(answer, status, pointer);
        self.right(found.as_deref() == Some(value), &format!("{pointer} is \"{value}\""));
    }

    fn expect_header(&mut self, answer: &Response<Bytes>, name: &str, start: &str) {
        let value = answer.headers().get(name).and_then(|value| value.to_str().ok());
        let right = value.is_some_and(|value| value.starts_with(start));
        self.right(right, &format!("{name}: {start}"));
    }

    fn right(&mut self, right: bool, what: &str) {
        if !right {
            self.wrong += 1;
            say(format_args!("WRONG: expected {what}"));
        }
    }
}

/// Prints an answer: its status, the fields that tell most, and its body.
fn show(answer: &Response<Bytes>) {
    let header = |name| {
        answer
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(|value| format!("{name}: {value}\n"))
            .unwrap_or_default()
    };
    let body = String::from_utf8_lossy(answer.body());
    say(format_args!(
        "{}\n{}{}{}{}{}{body}\n",
        answer.status(),
        header("liveness-decision"),
        header("liveness-digest"),
        header("cache-status"),
        header("apim-request-id"),
        header("x-ms-error-code")
    ));
}
