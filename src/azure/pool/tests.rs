use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use http_body_util::BodyExt as _;
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tower::service_fn;

use super::*;
use crate::body::Source;
use crate::metrics::label::Route;
use crate::metrics::{Metrics, UpstreamMetrics};

const REST: Duration = Duration::from_secs(50);
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";

/// A pool, and how many connections its server has taken. On each one it answers so often, and closes it then.
async fn stage(each: usize) -> (Arc<Pool>, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let taken = Arc::<AtomicUsize>::default();
    let counter = Arc::clone(&taken);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(serve(stream, each));
        }
    });
    let pool = Pool::new(connector(address), Scheme::HTTP, "face.test".parse().unwrap(), REST);
    (Arc::new(pool.unwrap()), taken)
}

fn connector(address: SocketAddr) -> Connector {
    Connector::new(service_fn(move |_: Uri| async move {
        let stream = TcpStream::connect(address).await?;
        Ok::<_, BoxError>(MaybeHttpsStream::Http(TokioIo::new(stream)))
    }))
}

async fn serve(mut stream: TcpStream, each: usize) {
    for _ in 0..each {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read_buf(&mut head).await.unwrap() == 0 {
                return;
            }
        }
        assert!(head.starts_with(b"GET /a HTTP/1.1\r\n"));
        assert!(String::from_utf8(head).unwrap().contains("host: face.test\r\n"));
        stream.write_all(ANSWER).await.unwrap();
    }
}

/// The answer as it begins.
async fn ask(pool: &Arc<Pool>, afresh: bool) -> Source {
    let mut request = Request::new(Body::Empty);
    *request.uri_mut() = Uri::from_static("/a");
    let (answer, at_end) = pool.exchange(request, afresh).await.unwrap();
    let metrics = UpstreamMetrics::new("a", &Arc::new(Metrics::new().unwrap()));
    Source::azure(answer.into_body(), Arc::new(metrics).begin(Route::Session), at_end)
}

async fn read(pool: &Arc<Pool>, afresh: bool) {
    assert_eq!(ask(pool, afresh).await.collect().await.unwrap().to_bytes(), "{}");
}

#[tokio::test]
async fn a_connection_is_used_again_and_one_that_was_closed_is_nobodys_trouble() {
    let (pool, taken) = stage(3).await;
    for expected in [1, 1, 1, 2, 2, 2, 3] {
        read(&pool, false).await;
        assert_eq!(taken.load(Ordering::SeqCst), expected);
    }
}

#[tokio::test]
async fn some_want_a_new_connection() {
    let (pool, taken) = stage(usize::MAX).await;
    read(&pool, false).await;
    read(&pool, true).await;
    assert_eq!(taken.load(Ordering::SeqCst), 2);
    assert_eq!(pool.kept().resting.len(), 2);
}

#[tokio::test]
async fn an_answer_that_nobody_reads_takes_its_connection_along() {
    let (pool, taken) = stage(usize::MAX).await;
    drop(ask(&pool, false).await);
    assert_eq!(pool.kept().resting.len(), 0);
    read(&pool, false).await;
    assert_eq!(taken.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn what_has_rested_long_enough_and_what_is_old_is_left() {
    let (pool, taken) = stage(usize::MAX).await;
    read(&pool, false).await;
    tokio::time::pause();
    tokio::time::advance(REST - Duration::from_secs(1)).await;
    pool.sweep();
    assert_eq!(pool.kept().resting.len(), 1);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(pool.take().is_none());
    tokio::time::resume();
    read(&pool, false).await;
    assert_eq!(taken.load(Ordering::SeqCst), 2);
    // Used all the time, but old.
    tokio::time::pause();
    tokio::time::advance(AGE).await;
    pool.kept().resting.iter_mut().for_each(|line| line.used = Instant::now());
    pool.sweep();
    assert_eq!(pool.kept().resting.len(), 0);
}
