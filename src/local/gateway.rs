//! Stands in for the gateway until it lands: passes every connection to ministack.

use std::{io, net::SocketAddr};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

/// Where it listens, and what is behind it.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it listens.
    pub listen: SocketAddr,
    /// ministack's port.
    pub cloud: u16,
}

/// Serves until told to stop.
pub async fn serve(config: Config, shutdown: CancellationToken) -> io::Result<()> {
    let listener = TcpListener::bind(config.listen).await?;
    loop {
        let (mut client, _) = tokio::select! {
            it = listener.accept() => it?,
            () = shutdown.cancelled() => return Ok(()),
        };
        let shutdown = shutdown.clone();
        tokio::spawn(async move {
            let mut cloud = TcpStream::connect(("127.0.0.1", config.cloud)).await?;
            tokio::select! {
                it = copy_bidirectional(&mut client, &mut cloud) => it.map(|_| ()),
                () = shutdown.cancelled() => Ok(()),
            }
        });
    }
}
