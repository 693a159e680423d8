//! A TCP or TLS byte stream that never blocks.

use super::address::Endpoint;
use mio::net::TcpStream;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

/// The bytes beneath a WebSocket.
#[derive(Debug)]
pub enum Transport {
    /// `ws://`: loopback and tests.
    Plain(TcpStream),
    /// `wss://`.
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Transport {
    /// Wraps a connected socket in TLS for `host`. The handshake runs with the first reads and
    /// writes.
    ///
    /// # Errors
    /// When `host` is no valid server name.
    pub fn tls(socket: TcpStream, host: &str, config: &Arc<ClientConfig>) -> io::Result<Self> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| io::Error::other(format!("{host:?} is no server name")))?;
        let session = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        Ok(Self::Tls(Box::new(StreamOwned::new(session, socket))))
    }

    /// A connected socket to this host, with TLS where its address wants it.
    ///
    /// # Errors
    /// As for [`Transport::tls`].
    pub fn to(endpoint: &Endpoint, socket: TcpStream, tls: &Arc<ClientConfig>) -> io::Result<Self> {
        match endpoint.secure {
            true => Self::tls(socket, &endpoint.host, tls),
            false => Ok(Self::Plain(socket)),
        }
    }

    /// True until both sides have agreed on the keys of TLS.
    pub fn is_handshaking(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(stream) => stream.conn.is_handshaking(),
        }
    }

    /// The socket, for readiness registration.
    pub fn socket_mut(&mut self) -> &mut TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => &mut stream.sock,
        }
    }
}

impl Read for Transport {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Transport {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

/// Whether a socket that is being connected is by now.
///
/// # Errors
/// When the connection was refused or failed.
pub fn is_connected(socket: &TcpStream) -> io::Result<bool> {
    if let Some(error) = socket.take_error()? {
        return Err(error);
    }
    match socket.peer_addr() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}

/// Bounds how long the kernel believes in a peer that is gone: unsent bytes for five seconds, and
/// three questions a second apart after five seconds of silence. Its own defaults are hours.
///
/// # Errors
/// When the kernel refuses an option.
pub fn guard(socket: &TcpStream) -> io::Result<()> {
    use rustix::net::sockopt;
    socket.set_nodelay(true)?;
    sockopt::set_tcp_user_timeout(socket, 5_000)?;
    sockopt::set_tcp_keepidle(socket, Duration::from_secs(5))?;
    sockopt::set_tcp_keepintvl(socket, Duration::from_secs(1))?;
    sockopt::set_tcp_keepcnt(socket, 3)?;
    sockopt::set_socket_keepalive(socket, true)?;
    Ok(())
}

/// True for what TLS itself refuses: a certificate that is expired, of another host or of nobody
/// we trust, an alert, a protocol that is too old. Trying again at once would not help.
pub fn is_refused_by_tls(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>())
}

/// TLS settings: the bundled roots, TLS 1.2 or 1.3, one named provider.
///
/// # Errors
/// When the provider supports neither protocol version.
pub fn tls_config() -> io::Result<Arc<ClientConfig>> {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
