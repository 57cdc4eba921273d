//! What enriching an audit list costs beside passing it on. `cargo bench --bench enrich`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use http::{HeaderMap, Response, Version};
use livegate::answer::enrich::enrich;
use livegate::answer::investigate::Investigator;
use livegate::answer::lasting::Lasting;
use livegate::body::Body;
use livegate::call::{Call, Page, Target};
use livegate::config::App;
use livegate::error::Error;
use livegate::headers::{Heard, Name};
use livegate::liveness::{Resource, Route, audit};
use livegate::metrics::Metrics;
use livegate::wishes::Wishes;
use tokio::runtime::{Builder, Runtime};
use tower::{Layer as _, ServiceExt as _, service_fn};

const PATH: &str = "/face/v1.2-preview.1/detectLiveness/singleModal/sessions/b12e033e-bda7-4b83-a211-e721c661f30e/audit";

fn main() {
    divan::Divan::from_args().min_time(Duration::from_secs(1)).main();
}

/// A list of so many entries of some 750 bytes.
fn list(entries: usize) -> Bytes {
    let entry = |number: usize| {
        format!(
            r#"{{"id":{number},"sessionId":"b12e033e-bda7-4b83-a211-e721c661f30e","requestId":"{number:08x}-0e25-43e9-9922-a7adebf13b2f","clientRequestId":"{number:08x}-0e25-43e9-9922-a7adebf13b2f","receivedDateTime":"2024-03-05T11:{:02}:{:02}.698Z","request":{{"url":"/face/v1.2-preview.1/detectliveness/singlemodal","method":"POST","contentLength":352568,"contentType":"multipart/form-data","userAgent":"Mozilla/5.0 (Linux) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/117.0.0.0 Mobile Safari/537.36"}},"response":{{"body":{{"livenessDecision":"realface","target":{{"faceRectangle":{{"top":59,"left":121,"width":409,"height":395}},"fileName":"content","timeOffsetWithinFile":0,"imageType":"Color"}},"modelVersionUsed":"2023-12-20-preview.06"}},"statusCode":200,"latencyInMilliseconds":1200}},"digest":"{number:064X}","sessionImageId":"Ae3PVWlXAmVAnXgkAFt1QSjGUWONKzWiSr2i{number:08}"}}"#,
            number / 60 % 60,
            number % 60
        )
    };
    let entries: Vec<_> = (1..=entries).map(entry).collect();
    Bytes::from(format!("[{}]", entries.join(",")))
}

/// A gateway's room for audit lists, with an Azure that always has the same list.
struct Stage {
    runtime: Runtime,
    investigator: Investigator,
    list: Bytes,
}

impl Stage {
    fn set(entries: usize) -> Self {
        let metrics = Arc::new(Metrics::new().expect("metrics"));
        let lasting = Arc::new(Lasting::new(1 << 20, &metrics));
        let investigator = Investigator::new(lasting, metrics, "weu".into(), 0);
        let runtime = Builder::new_current_thread().build().expect("a runtime");
        Self { runtime, investigator, list: list(entries) }
    }

    fn ask(&self, enriched: bool) {
        let list = self.list.clone();
        let azure = service_fn(move |_: Call| {
            let answer = Response::builder().header("apim-request-id", "4af681e9");
            let answer = answer.body(list.clone()).expect("an answer");
            async move { Ok::<_, Error>(answer) }
        });
        let resource = Resource::parse(PATH).expect("a list");
        let target = Target { route: Route::Audit, resource, page: Page::default() };
        let app = Arc::new(App { enrich: enriched, ..App::default() });
        let (wishes, heard) =
            (Wishes::default(), Heard::new(HeaderMap::new(), Version::HTTP_11, Name::random()));
        let call = Call { app, target, wishes, heard, by_app: true, turn: None, body: Body::Empty };
        let rows = enrich(self.investigator.clone()).layer(azure);
        black_box(self.runtime.block_on(rows.oneshot(call)).expect("an answer"));
    }
}

fn told(bencher: Bencher<'_, '_>, entries: usize, enriched: bool) {
    let stage = Stage::set(entries);
    bencher.counter(BytesCount::new(stage.list.len())).bench_local(|| stage.ask(enriched));
}

#[divan::bench(args = [1, 20, 1000])]
fn a_list_as_azure_sent_it(bencher: Bencher<'_, '_>, entries: usize) {
    told(bencher, entries, false);
}

#[divan::bench(args = [1, 20, 1000])]
fn a_list_enriched(bencher: Bencher<'_, '_>, entries: usize) {
    told(bencher, entries, true);
}

/// Of both the part that reading takes.
#[divan::bench(args = [1, 20, 1000])]
fn a_list_read(bencher: Bencher<'_, '_>, entries: usize) {
    let list = list(entries);
    bencher
        .counter(BytesCount::new(list.len()))
        .bench_local(|| black_box(audit::read(black_box(&list)).is_ok()));
}
