//! A server of another age: it speaks the protocol of Postgres well enough to say how old it is.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};

/// Listens, and tells everybody that it is of `version`; gives the address.
fn of_version(version: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            std::thread::spawn(move || {
                // Whoever asks hangs up when it has heard enough.
                let _ = converse(client, version);
            });
        }
    });
    format!("postgres://leadmill:s3cret@{address}/leadmill?sslmode=disable")
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[kind], &length.to_be_bytes()[..], body].concat()
}

fn converse(mut client: TcpStream, version: &str) -> std::io::Result<()> {
    let read_body = |client: &mut TcpStream| {
        let mut length = [0; 4];
        client.read_exact(&mut length)?;
        let mut body = vec![0; u32::from_be_bytes(length) as usize - 4];
        client.read_exact(&mut body).map(|()| body)
    };
    read_body(&mut client)?;
    let parameter = format!("server_version\0{version}\0");
    let ready = message(b'Z', b"I");
    let welcome = [
        message(b'R', &0_u32.to_be_bytes()),
        message(b'S', parameter.as_bytes()),
        message(b'K', &[0; 8]),
        ready.clone(),
    ];
    client.write_all(&welcome.concat())?;
    loop {
        let mut kind = [0];
        client.read_exact(&mut kind)?;
        read_body(&mut client)?;
        let answer = match kind[0] {
            b'Q' => [message(b'C', b"SET\0"), ready.clone()].concat(),
            b'P' => message(b'1', b""),
            b'B' => message(b'2', b""),
            b'D' => message(b'n', b""),
            b'E' => message(b'C', b"SET\0"),
            b'S' => ready.clone(),
            _ => return Ok(()),
        };
        client.write_all(&answer)?;
    }
}

#[test]
fn a_server_that_is_too_old_is_named_with_the_version_that_is_needed() {
    let old = of_version("13.18");
    for command in ["serve", "work", "migrate", "dev"] {
        let folder = tempfile::tempdir().unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_leadmill"))
            .arg(command)
            .current_dir(folder.path())
            .env_clear()
            .env("DATABASE_URL", &old)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(69), "{command}: {said}");
        let wanted = "error: the database is PostgreSQL 13, and 14 or newer is needed\n";
        assert!(said.ends_with(wanted), "{command}: {said}");
        assert!(!said.contains("s3cret"), "{command}: {said}");
    }
}
