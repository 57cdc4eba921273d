//! Addresses that nobody listens at.

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the ports that the system gives to connections on its own (32,768 and up on Linux), so that no other test gets one by chance.
static NEXT: AtomicU16 = AtomicU16::new(0);

/// One that nobody listens at, nor will by chance.
pub(crate) fn address() -> SocketAddr {
    // Two runs at the same time begin at different places.
    let first = u16::try_from(std::process::id() % 80).unwrap() * 100;
    let is_free = |address: &SocketAddr| TcpListener::bind(address).is_ok();
    let ports = std::iter::repeat_with(|| {
        let number = first.wrapping_add(NEXT.fetch_add(1, Ordering::SeqCst));
        SocketAddr::from(([127, 0, 0, 1], 21_000 + number % 10_000))
    });
    ports.take(10_000).find(is_free).unwrap()
}

#[test]
fn no_address_is_given_twice() {
    assert_ne!(address(), address());
}
