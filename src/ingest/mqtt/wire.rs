//! A socket with what was read and not yet understood, and what is written and not yet sent.
//!
//! Used by a connection. Reading and writing never wait here; the connection waits for readiness. An idle wire holds no
//! buffer: ten thousand quiet devices cost next to nothing.

use std::io;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// The first read of a burst has this much room, further ones twice as much each.
const FIRST_READ: usize = 2 << 10;
const LARGEST_READ: usize = 64 << 10;

/// How long a closing connection waits for its peer to take the last answer.
const LINGER: Duration = Duration::from_secs(2);

/// What a closing connection reads and throws away at most, so that its last answer is not lost to a reset.
const LINGER_BYTES: usize = 16 << 20;

pub(super) struct Wire {
    pub stream: TcpStream,
    pub input: BytesMut,
    pub output: BytesMut,
    room: usize,
}

/// What a read gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filled {
    Bytes,
    Nothing,
    End,
}

impl Wire {
    pub(super) fn new(stream: TcpStream) -> Self {
        // Acknowledgements are small and must not wait for more.
        let _ = stream.set_nodelay(true);
        Wire { stream, input: BytesMut::new(), output: BytesMut::new(), room: FIRST_READ }
    }

    /// Reads what is there.
    pub(super) fn fill(&mut self) -> io::Result<Filled> {
        self.input.reserve(self.room);
        match self.stream.try_read_buf(&mut self.input) {
            Ok(0) => Ok(Filled::End),
            Ok(count) => {
                self.room = if count >= self.room { (self.room * 2).min(LARGEST_READ) } else { FIRST_READ };
                Ok(Filled::Bytes)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Filled::Nothing),
            Err(error) => Err(error),
        }
    }

    /// Sends what fits.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        while !self.output.is_empty() {
            match self.stream.try_write(&self.output) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.output.advance(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Gives back buffers that hold nothing.
    pub(super) fn rest(&mut self) {
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
        if self.output.is_empty() {
            self.output = BytesMut::new();
        }
    }

    /// Sends what is left, ends the sending side, and reads until the peer ends too, all within a time and a size: a
    /// socket that is closed with unread bytes is reset, and the peer would lose the answer that says why.
    pub(super) async fn close(&mut self) {
        let gently = async {
            self.stream.write_all(&self.output).await?;
            self.stream.shutdown().await?;
            let mut discarded = 0;
            while discarded < LINGER_BYTES {
                self.stream.readable().await?;
                self.input.clear();
                match self.fill()? {
                    Filled::End => break,
                    Filled::Bytes => discarded += self.input.len(),
                    Filled::Nothing => {}
                }
            }
            io::Result::Ok(())
        };
        // Whatever goes wrong now, the connection is over.
        let _ = tokio::time::timeout(LINGER, gently).await;
    }
}
