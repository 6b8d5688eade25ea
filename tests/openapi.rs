//! The API as it describes itself, asked by schemathesis: generated requests, right and wrong.

mod support;

use std::process::Command;

use support::Centre;

/// No status of 500 and above, no answer that the description does not have, nothing taken that it
/// forbids, nothing without a token.
#[test]
fn the_api_is_what_it_describes() {
    let python = std::env::var("TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let has = Command::new(&python).args(["-c", "import schemathesis"]).output();
    if !has.is_ok_and(|output| output.status.success()) {
        eprintln!(
            "skipped: no schemathesis (pip install schemathesis==4.32.5, and set TEST_PYTHON)"
        );
        return;
    }
    let mut centre = Centre::new("");
    let key = centre.onboard("dijon", "pc", "ecs");
    let made = centre.json(&["token", "add", "generated", "--role", "admin"]);
    let token = made["secret"].as_str().unwrap();
    centre.start();
    let (status, answer) = support::post(&centre, &key, "{\"message\": \"one\"}\n".to_owned());
    assert_eq!(status, 200, "{answer}");
    let checks = "not_a_server_error,status_code_conformance,content_type_conformance,\
                  response_headers_conformance,response_schema_conformance,negative_data_rejection,\
                  missing_required_header,unsupported_method,ignored_auth";
    let output = Command::new(&python)
        .args([
            "-c",
            "import sys; from schemathesis.cli import schemathesis; sys.exit(schemathesis())",
        ])
        .args(["run", &format!("{}/api/v1/openapi.json", centre.api)])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .args(["--checks", checks, "-n", "15", "--seed", "1", "--no-color"])
        .args(["--phases", "examples,coverage,fuzzing"])
        // Answers that go on are in the tests of their own.
        .args(["--exclude-path-regex", "/stream$"])
        .current_dir(centre.path(""))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("passed"), "{told}");
    let log = centre.log();
    assert!(!log.contains("panicked"), "{log}");
}
