//! Byte sequences follow the OASIS standards MQTT 3.1.1 and 5.0.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn read_one(bytes: &[u8], version: Option<Version>) -> Result<Option<Packet>, Violation> {
    read(&mut BytesMut::from(bytes), version, 1_024)
}

fn whole(bytes: &[u8], version: Option<Version>) -> Packet {
    let mut input = BytesMut::from(bytes);
    for cut in 0..bytes.len() {
        let part = read_one(&bytes[..cut], version);
        assert_eq!(part, Ok(None), "cut at {cut}");
    }
    let packet = read(&mut input, version, 1_024).unwrap().unwrap();
    assert!(input.is_empty());
    packet
}

fn reason_of(bytes: &[u8], version: Option<Version>) -> u8 {
    read_one(bytes, version).unwrap_err().reason
}

#[test]
fn connect_of_both_versions() {
    let v4 = b"\x10\x24\x00\x04MQTT\x04\xc6\x00\x2d\x00\x05gen-7\x00\x01w\x00\x03bye\x00\x01u\x00\x06secret";
    let Packet::Connect(connect) = whole(v4, None) else { panic!() };
    assert_eq!(
        *connect,
        Connect {
            version: Version::V311,
            client: "gen-7".into(),
            clean: true,
            keep_alive_seconds: 45,
            will: Some(Will { topic: "w".into(), payload: "bye".into(), delay_seconds: 0 }),
            user: Some(("u".into(), "secret".into())),
            session_expiry_seconds: 0,
            method: None,
        }
    );
    let v5 = b"\x10\x1f\x00\x04MQTT\x05\x06\x00\x00\x05\x11\x00\x00\x00\x09\x00\x01c\x05\x18\x00\x00\x00\x07\x00\x01w\x00\x01m";
    let Packet::Connect(connect) = whole(v5, None) else { panic!() };
    assert_eq!(connect.version, Version::V5);
    assert_eq!(connect.session_expiry_seconds, 9);
    assert_eq!(connect.will, Some(Will { topic: "w".into(), payload: "m".into(), delay_seconds: 7 }));
}

#[test]
fn other_protocols_are_told_so() {
    assert_eq!(reason_of(b"\x10\x0e\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x00", None), reason::UNSUPPORTED_VERSION);
    assert_eq!(reason_of(b"\x10\x0c\x00\x04MQTT\x06\x02\x00\x3c\x00\x00", None), reason::UNSUPPORTED_VERSION);
    assert_eq!(reason_of(b"GET / HTTP/1.1\r\n\r\n", None), reason::MALFORMED);
    assert_eq!(reason_of(b"\xc0\x00", None), reason::PROTOCOL_ERROR, "a ping before CONNECT");
}

#[test]
fn publish_of_every_kind() {
    let v311 = Some(Version::V311);
    let publish = |bytes: &[u8], version| match whole(bytes, version) {
        Packet::Publish(publish) => publish,
        other => panic!("{other:?}"),
    };
    let first = publish(b"\x30\x05\x00\x01ahi", v311);
    assert_eq!((first.topic.as_str(), &*first.payload, first.qos, first.packet), ("a", &b"hi"[..], 0, 0));
    let second = publish(b"\x3d\x06\x00\x01a\x01\x02x", v311);
    assert_eq!((second.qos, second.again, second.retain, second.packet), (2, true, true, 0x102));
    let aliased = publish(b"\x32\x09\x00\x00\x00\x05\x03\x23\x00\x04x", Some(Version::V5));
    assert_eq!((aliased.topic.as_str(), aliased.alias, aliased.packet, &*aliased.payload), ("", Some(4), 5, &b"x"[..]));
}

#[test]
fn small_packets() {
    for version in [Some(Version::V311), Some(Version::V5)] {
        assert_eq!(whole(b"\xc0\x00", version), Packet::Ping);
        assert_eq!(whole(b"\xe0\x00", version), Packet::Disconnect(0));
        assert_eq!(whole(b"\x62\x02\x00\x07", version), Packet::PubRel(7));
        assert_eq!(whole(b"\x40\x02\x00\x07", version), Packet::Stray);
    }
    assert_eq!(whole(b"\xe0\x01\x04", Some(Version::V5)), Packet::Disconnect(4));
    assert_eq!(whole(b"\xe0\x02\x04\x00", Some(Version::V5)), Packet::Disconnect(4));
    assert_eq!(whole(b"\x62\x04\x00\x07\x00\x00", Some(Version::V5)), Packet::PubRel(7));
    assert_eq!(
        whole(b"\x82\x0a\x00\x09\x00\x01#\x01\x00\x01a\x00", Some(Version::V311)),
        Packet::Subscribe { packet: 9, filters: 2 }
    );
    assert_eq!(
        whole(b"\x82\x07\x00\x09\x00\x00\x01#\x01", Some(Version::V5)),
        Packet::Subscribe { packet: 9, filters: 1 }
    );
    assert_eq!(whole(b"\xa2\x05\x00\x09\x00\x01#", Some(Version::V311)), Packet::Unsubscribe { packet: 9, filters: 1 });
}

#[test]
fn what_breaks_the_protocol_is_named() {
    let v311 = Some(Version::V311);
    assert_eq!(reason_of(b"\x36\x05\x00\x01a\x00\x01", v311), reason::MALFORMED, "QoS 3");
    assert_eq!(reason_of(b"\x38\x03\x00\x01a", v311), reason::MALFORMED, "DUP with QoS 0");
    assert_eq!(reason_of(b"\x80\x02\x00\x01", v311), reason::MALFORMED, "SUBSCRIBE without its flags");
    assert_eq!(reason_of(b"\x32\x05\x00\x01a\x00\x00", v311), reason::MALFORMED, "packet identifier 0");
    assert_eq!(reason_of(b"\x30\x03\x00\x01\xff", v311), reason::MALFORMED, "a topic that is not UTF-8");
    assert_eq!(reason_of(b"\x30\xff\xff\xff\xff\x01", v311), reason::MALFORMED, "a length of five bytes");
    assert_eq!(reason_of(b"\x20\x02\x00\x00", v311), reason::PROTOCOL_ERROR, "CONNACK from a client");
    assert_eq!(reason_of(b"\x10\x00", v311), reason::PROTOCOL_ERROR, "a second CONNECT");
    assert_eq!(reason_of(b"\x30\x02\x00\x64aaaa", v311), reason::MALFORMED, "a topic longer than its packet");
    assert_eq!(reason_of(b"\x82\x02\x00\x01", v311), reason::MALFORMED, "SUBSCRIBE without a filter");
}

#[test]
fn the_size_limit_holds_before_the_packet_is_there() {
    assert_eq!(reason_of(b"\x30\xff\x07", Some(Version::V311)), reason::TOO_LARGE, "1023 and its header are over 1024");
    assert_eq!(read_one(b"\x30\xfd\x07", Some(Version::V311)), Ok(None));
}

#[test]
fn answers() {
    let mut output = BytesMut::new();
    write_connack(&mut output, Version::V311, reason::SUCCESS, true, &ConnAckProperties::default());
    write_connack(&mut output, Version::V311, reason::BAD_PASSWORD, false, &ConnAckProperties::default());
    write_ack(&mut output, Version::V311, Ack::Taken, 0x102, reason::TOPIC_NAME);
    write_ack(&mut output, Version::V5, Ack::Taken, 0x102, reason::TOPIC_NAME);
    write_ack(&mut output, Version::V5, Ack::Received, 3, reason::SUCCESS);
    write_ack(&mut output, Version::V5, Ack::Complete, 3, reason::SUCCESS);
    write_suback(&mut output, Version::V311, 9, 2);
    write_unsuback(&mut output, Version::V311, 9, 2);
    write_unsuback(&mut output, Version::V5, 9, 2);
    write_ping_response(&mut output);
    write_disconnect(&mut output, Version::V311, reason::SHUTTING_DOWN);
    write_disconnect(&mut output, Version::V5, reason::SHUTTING_DOWN);
    assert_eq!(
        &output[..],
        [
            &b"\x20\x02\x01\x00\x20\x02\x00\x04\x40\x02\x01\x02\x40\x03\x01\x02\x90\x50\x02\x00\x03\x70\x02\x00\x03"[..],
            b"\x90\x04\x00\x09\x80\x80\xb0\x02\x00\x09\xb0\x05\x00\x09\x00\x11\x11\xd0\x00\xe0\x01\x8b",
        ]
        .concat()
    );
}

#[test]
fn connack_and_suback_of_mqtt_5_are_read_by_a_client_library() {
    let mut output = BytesMut::new();
    let properties = ConnAckProperties {
        session_expiry_seconds: Some(86_400),
        receive_maximum: 1_000,
        max_packet: 524_288,
        topic_alias_maximum: 16,
        assigned_client: Some("auto-1"),
    };
    write_connack(&mut output, Version::V5, reason::SUCCESS, false, &properties);
    write_suback(&mut output, Version::V5, 9, 2);
    let v5::Packet::ConnAck(connack) = v5::Packet::read(&mut output, None).unwrap() else { panic!() };
    let read = connack.properties.unwrap();
    assert_eq!(read.receive_max, Some(1_000));
    assert_eq!(read.max_packet_size, Some(524_288));
    assert_eq!(read.assigned_client_identifier.as_deref(), Some("auto-1"));
    assert_eq!(read.wildcard_subscription_available, Some(0));
    let v5::Packet::SubAck(suback) = v5::Packet::read(&mut output, None).unwrap() else { panic!() };
    assert_eq!(suback.pkid, 9);
    assert_eq!(suback.return_codes.len(), 2);
    assert_eq!(suback.properties.unwrap().reason_string.as_deref(), Some(NO_SUBSCRIPTIONS));
}

/// Whole frames with lies inside: the first byte and the length are right, the rest is anything.
fn frame_of(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut output = BytesMut::new();
    write_frame(&mut output, kind, body);
    output.to_vec()
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        for version in [None, Some(Version::V311), Some(Version::V5)] {
            let mut input = BytesMut::from(&bytes[..]);
            while let Ok(Some(_)) = read(&mut input, version, 1_024) {}
        }
    }

    #[test]
    fn any_body_is_read_without_a_panic(
        kind in prop::sample::select(&[0x10_u8, 0x30, 0x32, 0x34, 0x3b, 0x62, 0x82, 0xa2, 0xe0, 0xf0][..]),
        name in prop::bool::ANY,
        body in prop::collection::vec(prop_oneof![Just(0_u8), Just(4), 0_u8..64, any::<u8>()], 0..48),
    ) {
        let mut text = Vec::new();
        if kind == 0x10 && name {
            text.extend_from_slice(b"\x00\x04MQTT");
            text.push(4 + body.first().copied().unwrap_or(0) % 2);
        }
        text.extend_from_slice(&body);
        for version in [None, Some(Version::V311), Some(Version::V5)] {
            let _ = read_one(&frame_of(kind, &text), version);
        }
    }
}
