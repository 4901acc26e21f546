//! The twin of `async`, plain async functions on tokio's multi-threaded runtime, and tokio's own echo server as its example has it.
//! Not here: the choice of the number of threads beyond one, which both sides have.

use super::{Says, text};
use std::io;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;

pub(super) fn twin(says: Says) {
    run(move |stream| converse(stream, says));
}

/// Accept, spawn, and in the task read and write all, with a buffer of 1 KiB on the heap.
pub(super) fn example() {
    run(|mut stream: TcpStream| async move {
        let mut buffer = vec![0; 1024];
        loop {
            let n = stream.read(&mut buffer).await?;
            if n == 0 {
                return Ok(());
            }
            stream.write_all(&buffer[..n]).await?;
        }
    });
}

fn run<F: Future<Output = io::Result<()>> + Send + 'static>(serve: impl Fn(TcpStream) -> F) {
    let listener = super::listener();
    listener.set_nonblocking(true).expect("non-blocking");
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        super::say_ready(&listener);
        let listener = TcpListener::from_std(listener).expect("the runtime's listener");
        loop {
            let (stream, _) = listener.accept().await.expect("accept");
            tokio::spawn(serve(stream));
        }
    });
}

async fn converse(mut stream: TcpStream, says: Says) -> io::Result<()> {
    if says == Says::Greeting {
        stream.write_all(service::greeting::GREETING).await?;
        // As the model: a close with unread input would be a reset.
        let _ = stream.try_read(&mut [0; 512]);
        return Ok(());
    }
    let mut buffer = [0; 4096];
    loop {
        let n = stream.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        if says == Says::Echo {
            stream.write_all(&buffer[..n]).await?;
        } else if buffer[n - 1] == b'\n' {
            stream.write_all(text()).await?;
        }
    }
}
