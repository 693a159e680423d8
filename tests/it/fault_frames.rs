//! Frames no venue should send, and answers it should get: rows F-W01 to F-W07 of the catalogue.

use crate::fault_network::{Client, MS, PATIENT, Peer, drain, frame, shake};
use std::io::{Read, Write};

const HELLO: &[u8] = br#"{"n":0}"#;

/// A peer whose first connection gets these bytes behind one good frame, and whose second one is
/// good. It tells what the first one sent back.
fn spoiled(bytes: Vec<u8>) -> Peer {
    Peer::start(move |n, socket, tell| {
        let mut socket = shake(socket);
        socket.write_all(&frame(0x81, HELLO)).unwrap();
        if n == 0 {
            // The client may leave in the middle.
            let _ = socket.write_all(&bytes);
            drain(&mut socket, tell);
            tell(b"gone");
        } else {
            drain(&mut socket, &mut |_| {});
        }
    })
}

/// What the peer read from its first connection.
fn sent_back(peer: &Peer) -> Vec<u8> {
    let mut all = Vec::new();
    while let Ok(bytes) = peer.told.recv() {
        if bytes == b"gone" {
            break;
        }
        all.extend(bytes);
    }
    all
}

/// Opcode and payload of a client's frame.
fn unmasked(bytes: &[u8]) -> (u8, Vec<u8>) {
    let len = usize::from(bytes[1] & 0x7F);
    let mask = &bytes[2..6];
    (bytes[0], (0..len).map(|i| bytes[6 + i] ^ mask[i % 4]).collect())
}

#[test]
fn fault_w01_a_message_in_one_byte_frames_with_pings_between_is_the_same_message() {
    let text = br#"{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker"}}"#;
    let mut bytes = Vec::new();
    for (i, byte) in text.iter().enumerate() {
        let first = if i == 0 { 0x01 } else { 0x00 } | if i + 1 == text.len() { 0x80 } else { 0 };
        bytes.extend(frame(first, &[*byte]));
        if i % 5 == 0 && i + 1 < text.len() {
            bytes.extend(frame(0x89, b"p"));
        }
    }
    let peer = spoiled(bytes);
    let mut client = Client::new(&peer.url(), PATIENT);
    client.until("the message", MS(1), |c| c.frames.len() == 2);
    assert_eq!(client.frames[1].as_bytes(), text);
    assert_eq!(client.downs, 0);
}

#[test]
fn fault_w02_an_oversize_frame_is_refused_by_its_header_with_code_1009() {
    let mut header = vec![0x81, 127];
    header.extend_from_slice(&(1_u64 << 40).to_be_bytes());
    let peer = spoiled(header);
    let mut client = Client::new(&peer.url(), PATIENT);
    client.until("the loss", MS(1), |c| c.downs == 1);
    assert!(client.error().contains("too long"), "{}", client.error());
    let (opcode, payload) = unmasked(&sent_back(&peer));
    assert_eq!((opcode, &payload[..2]), (0x88, &1_009_u16.to_be_bytes()[..]));
    client.until("the next", MS(10), |c| c.ups == 2);
}

#[test]
fn fault_w02_a_message_of_many_frames_is_bounded_too() {
    let mut bytes = frame(0x01, &vec![b' '; 600_000]);
    bytes.extend(frame(0x80, &vec![b' '; 600_000]));
    let peer = spoiled(bytes);
    let mut client = Client::new(&peer.url(), PATIENT);
    client.until("the loss", MS(1), |c| c.downs == 1);
    assert!(client.error().contains("too long"), "{}", client.error());
}

#[test]
fn fault_w03_what_breaks_the_protocol_ends_the_connection_and_the_next_one_works() {
    let mut masked = vec![0x81, 0x82, 1, 2, 3, 4];
    masked.extend_from_slice(b"{}");
    let cases: [(&str, Vec<u8>); 6] = [
        ("no UTF-8", frame(0x81, &[b'{', 0xC3, 0x28, b'}'])),
        ("a reserved opcode", frame(0x83, b"{}")),
        ("a reserved control opcode", frame(0x8B, b"")),
        ("a reserved bit", frame(0xC1, b"{}")),
        ("a masked frame", masked),
        ("a continuation of nothing", frame(0x80, b"{}")),
    ];
    for (what, bytes) in cases {
        let peer = spoiled(bytes);
        let mut client = Client::new(&peer.url(), PATIENT);
        client.until(what, MS(1), |c| c.downs == 1);
        assert!(!client.error().is_empty(), "{what}");
        client.until(what, MS(10), |c| c.ups == 2);
        assert_eq!(client.frames.len(), 2, "{what}: nothing of it was handed on");
    }
}

#[test]
fn fault_w04_a_handshake_without_end_is_bounded() {
    let peer = Peer::start(|_, mut socket, tell| {
        let mut request = [0; 4_096];
        let _ = socket.read(&mut request).unwrap();
        let _ = socket.write_all(b"HTTP/1.1 101 Switching Protocols\r\n");
        let mut written = 0_usize;
        let line = [b"X-Header: ".as_slice(), &[b'x'; 1_000], b"\r\n"].concat();
        while socket.write_all(&line).is_ok() && written < 64 << 20 {
            written += line.len();
        }
        tell(written.to_string().as_bytes());
    });
    let mut client = Client::new(&peer.url(), PATIENT);
    client.until("the refusal", MS(1), |c| !c.error().is_empty());
    assert_eq!((client.ups, client.downs), (0, 0));
    let written = String::from_utf8(peer.told.recv().unwrap()).unwrap();
    // What fits into the kernel's buffers is not read by us.
    assert!(written.parse::<usize>().unwrap() < 32 << 20, "{written} bytes taken");
}

#[test]
fn fault_w04_a_handshake_that_never_answers_is_given_up_after_three_seconds() {
    let peer = Peer::start(|_, mut socket, _| drain(&mut socket, &mut |_| {}));
    let mut client = Client::new(&peer.url(), PATIENT);
    let took = client.until("the deadline", MS(50), |c| !c.error().is_empty());
    assert!(client.error().contains("handshake took longer"), "{}", client.error());
    assert!((MS(3_000)..MS(3_500)).contains(&took), "{took:?}");
}

#[test]
fn fault_w05_of_a_flood_of_pings_the_newest_is_answered_and_never_more_than_ten_a_second() {
    let mut bytes = Vec::new();
    for n in 0..5_000_u32 {
        bytes.extend(frame(0x89, &n.to_be_bytes()));
    }
    bytes.extend(frame(0x81, b"{\"after\":1}"));
    let peer = spoiled(bytes);
    let mut client = Client::new(&peer.url(), PATIENT);
    // Time stands still: one second's worth of answers and no more.
    client.until("what comes behind the flood", MS(0), |c| c.frames.len() == 2);
    for _ in 0..50 {
        client.turn(MS(0));
    }
    client.now += MS(1_100);
    client.until("a while", MS(100), |c| c.frames.len() == 2);
    client.turn(MS(0));
    drop(client);
    let back = sent_back(&peer);
    // Frames of 4 bytes behind a head of 2 and a mask of 4.
    let answers: Vec<u32> = back
        .chunks_exact(10)
        .map(|frame| {
            let (opcode, payload) = unmasked(frame);
            assert_eq!(opcode, 0x8A);
            u32::from_be_bytes(payload.try_into().unwrap())
        })
        .collect();
    assert!((1..=11).contains(&answers.len()), "{answers:?}");
    assert_eq!(answers.last(), Some(&4_999), "the newest");
    assert!(answers.is_sorted());
}

#[test]
fn fault_w06_a_ping_is_answered_with_its_payload_though_data_waits_behind_it() {
    let mut bytes = frame(0x89, b"1767225600000");
    for n in 0..200 {
        bytes.extend(frame(0x81, format!("{{\"n\":{n}}}").as_bytes()));
    }
    let peer = spoiled(bytes);
    let mut client = Client::new(&peer.url(), PATIENT);
    client.until("the data", MS(1), |c| c.frames.len() == 201);
    drop(client);
    assert_eq!(unmasked(&sent_back(&peer)), (0x8A, b"1767225600000".to_vec()));
}

#[test]
fn fault_w07_a_close_code_is_named_and_half_a_message_is_thrown_away() {
    for (code, name) in [(1_012_u16, "1012"), (1_013, "1013"), (1_001, "1001")] {
        let mut bytes = frame(0x01, b"{\"half\":");
        bytes.extend(frame(0x88, &code.to_be_bytes()));
        let peer = spoiled(bytes);
        let mut client = Client::new(&peer.url(), PATIENT);
        client.until(name, MS(1), |c| c.downs == 1);
        assert!(client.error().contains(name), "{}", client.error());
        client.until(name, MS(10), |c| c.ups == 2);
        assert_eq!(client.frames.len(), 2);
    }
}

#[test]
fn fault_w07_a_cut_in_the_middle_of_a_frame_hands_nothing_on() {
    let peer = Peer::start(|n, socket, tell| {
        let mut socket = shake(socket);
        socket.write_all(&frame(0x81, HELLO)).unwrap();
        if n == 0 {
            socket.write_all(&frame(0x81, b"{\"whole\":0}")[..7]).unwrap();
        } else {
            drain(&mut socket, tell);
        }
    });
    let mut client = Client::new(&peer.url(), PATIENT);
    client.until("the loss", MS(1), |c| c.downs == 1);
    client.until("the next", MS(10), |c| c.ups == 2);
    assert_eq!(client.frames, ["{\"n\":0}", "{\"n\":0}"]);
}

#[test]
fn fault_w12_an_open_connection_without_a_payload_is_given_up_after_five_seconds() {
    let peer = Peer::start(|n, socket, tell| {
        let mut socket = shake(socket);
        if n == 0 {
            socket.write_all(&frame(0x89, b"alive")).unwrap();
        } else {
            socket.write_all(&frame(0x81, HELLO)).unwrap();
        }
        drain(&mut socket, tell);
    });
    let mut client = Client::new(&peer.url(), PATIENT);
    client.until("the ping's answer", MS(0), |_| peer.told.try_recv().is_ok());
    let took = client.until("the deadline", MS(50), |c| !c.error().is_empty());
    assert!((MS(5_000)..MS(5_200)).contains(&took), "{took:?}");
    assert!(client.error().contains("no payload"), "{}", client.error());
    assert_eq!((client.ups, client.downs), (0, 0), "an acknowledgement is not data");
    client.until("the next", MS(10), |c| c.ups == 1);
}
