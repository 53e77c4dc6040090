//! A network that fails: passes bytes between clients and the listener and cuts connections in the middle of them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A listener in front of another.
pub struct Cutter {
    address: SocketAddr,
    cuts: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Cutter {
    /// Cuts the first `count` connections, each after some bytes that the seed decides: of messages or of
    /// acknowledgements, so that acknowledgements get lost as well.
    pub async fn start(target: SocketAddr, count: usize, seed: u64) -> Cutter {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let cuts = Arc::new(AtomicUsize::new(0));
        let done = Arc::clone(&cuts);
        let task = tokio::spawn(async move {
            let mut random = StdRng::seed_from_u64(seed);
            let mut number = 0;
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(target).await.unwrap();
                number += 1;
                let limits = if number > count {
                    (usize::MAX, usize::MAX)
                } else if random.random_bool(0.5) {
                    (random.random_range(2_000..12_000), usize::MAX)
                } else {
                    (usize::MAX, random.random_range(20..300))
                };
                tokio::spawn(pass(client, server, limits, Arc::clone(&done)));
            }
        });
        Cutter { address, cuts, task }
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections were cut.
    pub fn cuts(&self) -> usize {
        self.cuts.load(Ordering::SeqCst)
    }
}

impl Drop for Cutter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Passes bytes until a side ends or has reached its limit.
async fn pass(client: TcpStream, server: TcpStream, (up, down): (usize, usize), cuts: Arc<AtomicUsize>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let cut = tokio::select! {
        cut = copy(&mut from_client, &mut to_server, up) => cut,
        cut = copy(&mut from_server, &mut to_client, down) => cut,
    };
    if cut {
        cuts.fetch_add(1, Ordering::SeqCst);
        return;
    }
    // One side has ended by itself: what the other still says is passed on for a moment.
    let _ = to_server.shutdown().await;
    let _ = tokio::time::timeout(Duration::from_secs(1), copy(&mut from_server, &mut to_client, usize::MAX)).await;
}

/// Whether it stopped at its limit.
async fn copy(from: &mut (impl AsyncReadExt + Unpin), to: &mut (impl AsyncWriteExt + Unpin), limit: usize) -> bool {
    let mut left = limit;
    let mut bytes = vec![0_u8; 1_024];
    loop {
        let Ok(count) = from.read(&mut bytes).await else { return false };
        if count == 0 {
            return false;
        }
        let passed = count.min(left);
        if to.write_all(&bytes[..passed]).await.is_err() {
            return false;
        }
        left -= passed;
        if left == 0 {
            return true;
        }
    }
}
