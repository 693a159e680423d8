//! TLS that must not be trusted: rows F-N09 and F-N10 of the catalogue. The certificates in
//! `tests/fixtures/tls` are of an authority made for these tests: `good` and `expired` are for
//! `localhost`, `other` is for another host.

use crate::fault_network::{Client, MS, PATIENT, Peer, drain, frame};
use peregrine::venue::resolver::Resolver;
use peregrine::venue::transport::tls_config;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

fn file(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/fixtures/tls/{name}.der", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap()
}

fn server_config(certificate: &str) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(file("key")));
    let chain = vec![CertificateDer::from(file(certificate))];
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    Arc::new(config)
}

/// Trusts the tests' own authority.
fn trusting() -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(file("authority"))).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

/// A WebSocket server over TLS with this certificate. It tells the first byte of each connection.
fn secure(certificate: &'static str) -> Peer {
    let config = server_config(certificate);
    Peer::start(move |_, socket, tell| {
        let mut first = [0];
        let _ = socket.peek(&mut first);
        tell(&first);
        let session = ServerConnection::new(Arc::clone(&config)).unwrap();
        let Ok(mut socket) = tungstenite::accept(StreamOwned::new(session, socket)) else { return };
        let _ = socket.send(tungstenite::Message::Text("{}".into()));
        while socket.read().is_ok() {}
    })
}

fn client(peer: &Peer, tls: Arc<ClientConfig>) -> Client {
    let addr = peer.addr;
    let resolver = Resolver::with(move |_| Ok(vec![addr])).unwrap();
    let url = format!("wss://localhost:{}/public/stream?streams=a@b", addr.port());
    Client::over(&url, PATIENT, tls, resolver)
}

#[test]
fn a_certificate_of_an_authority_that_is_trusted_for_this_host_is_good() {
    let peer = secure("good");
    let mut client = client(&peer, trusting());
    client.until("a payload", MS(1), |c| c.ups == 1);
    assert_eq!(client.frames, ["{}"]);
}

#[test]
fn fault_n09_what_tls_refuses_is_named_never_used_and_tried_again_slowly() {
    let cases = [
        ("expired", trusting(), "Expired"),
        ("other", trusting(), "NotValidForName"),
        ("good", tls_config().unwrap(), "UnknownIssuer"),
    ];
    for (certificate, tls, wanted) in cases {
        let peer = secure(certificate);
        let mut client = client(&peer, tls);
        client.until(certificate, MS(1), |c| !c.error().is_empty());
        let said = client.error().replace(' ', "").to_lowercase();
        let wanted = wanted.to_lowercase();
        assert!(said.contains(&wanted), "{certificate}: {}", client.error());
        let end = client.now + Duration::from_secs(120);
        client.until("two minutes", MS(250), |c| c.now >= end);
        let tries: Vec<Vec<u8>> = peer.told.try_iter().collect();
        assert!((4..=9).contains(&tries.len()), "{certificate}: {} tries", tries.len());
        // A client hello each time: no fallback to plain text.
        assert!(tries.iter().all(|first| first == &[0x16]), "{certificate}: {tries:?}");
        assert!(client.frames.is_empty() && client.ups == 0);
    }
}

/// A name that leads to somebody else's address.
#[test]
fn fault_n11_a_wrong_address_is_caught_by_the_name_in_the_certificate() {
    let (wrong, right) = (secure("other"), secure("good"));
    let addresses = vec![wrong.addr, right.addr];
    let resolver = Resolver::with(move |_| Ok(addresses.clone())).unwrap();
    let mut client = Client::over("wss://localhost:1/ws", PATIENT, trusting(), resolver);
    client.until("the wrong one", MS(1), |c| !c.error().is_empty());
    assert_eq!(client.ups, 0);
    client.until("the right one", MS(100), |c| c.ups == 1);
}

#[test]
fn fault_n09_a_peer_that_wants_an_older_protocol_is_refused() {
    let peer = Peer::start(|_, mut socket, _| {
        let mut hello = [0; 4_096];
        let _ = socket.read(&mut hello).unwrap();
        // Fatal alert: protocol_version.
        socket.write_all(&[0x15, 3, 1, 0, 2, 2, 70]).unwrap();
        drain(&mut socket, &mut |_| {});
    });
    let mut client = client(&peer, trusting());
    client.until("the refusal", MS(1), |c| !c.error().is_empty());
    assert!(client.error().to_lowercase().contains("version"), "{}", client.error());
}

#[test]
fn fault_n10_a_farewell_in_the_middle_of_the_handshake_is_bounded() {
    let peer = Peer::start(|_, mut socket, _| {
        let mut hello = [0; 4_096];
        let _ = socket.read(&mut hello).unwrap();
        // Warning alert: close_notify.
        socket.write_all(&[0x15, 3, 3, 0, 2, 1, 0]).unwrap();
        drain(&mut socket, &mut |_| {});
    });
    let mut client = client(&peer, trusting());
    let took = client.until("the end", MS(50), |c| !c.error().is_empty());
    assert!(took <= MS(3_300), "{took:?}: {}", client.error());
}

#[test]
fn fault_n09_what_is_no_tls_at_all_is_refused() {
    let peer = Peer::start(|_, mut socket, _| {
        let mut hello = [0; 4_096];
        let _ = socket.read(&mut hello).unwrap();
        socket.write_all(&frame(0x81, b"{}")).unwrap();
        socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        drain(&mut socket, &mut |_| {});
    });
    let mut client = client(&peer, trusting());
    client.until("the refusal", MS(50), |c| !c.error().is_empty());
    assert_eq!((client.ups, client.frames.len()), (0, 0));
}
