//! What each provider answers, and what it means.

use super::*;

/// Each row: what came, and what it means.
async fn hold(preset: &str, rows: &[(u16, &Headers, Value, &str)]) {
    for (status, headers, body, meaning) in rows {
        let fake = fake(*status, headers, body).await;
        let reply = ask(preset, &fake, &ada()).await;
        assert_eq!(told(&reply.answer), *meaning, "{preset} {status} {body}");
        assert_eq!(reply.status, Some(*status));
    }
}

#[tokio::test]
async fn people_data_labs_is_understood() {
    let data = json!({"status": 200, "likelihood": 10, "data": {
        "full_name": "ada lovelace", "job_title": "Countess", "job_title_levels": ["cxo"],
        "work_email": "ada@engines.example", "mobile_phone": "+442079460018",
        "linkedin_url": "linkedin.com/in/ada", "job_company_name": "Analytical Engines",
        "job_company_website": "engines.example", "job_company_size": "51-200", "job_company_industry": "machinery"
    }});
    let matched = r#"matched {"company":{"company_size":"51-200","industry":"machinery","name":"Analytical Engines","website":"engines.example"},"email":"ada@engines.example","job_title":"Countess","linkedin_url":"linkedin.com/in/ada","phone":"+442079460018"}"#;
    hold(
        "pdl",
        &[
            (200, &[], data, matched),
            (
                404,
                &[],
                json!({"status": 404, "error": {"type": "not_found"}}),
                "not found",
            ),
            (402, &[], json!({}), "out of credits 3600"),
            (
                429,
                &[
                    ("x-ratelimit-limit", r#"{"minute":1200,"day":null}"#),
                    ("x-ratelimit-reset", "2030-03-17T17:48:10.000Z"),
                ],
                json!({}),
                "rate limited 90",
            ),
            (429, &[], json!({}), "rate limited 60"),
            (401, &[], json!({}), "auth error"),
            (400, &[], json!({}), "invalid input"),
            (503, &[], json!({}), "error HTTP 503, retryable: true"),
        ],
    )
    .await;
}

#[tokio::test]
async fn apollo_is_understood() {
    let person = json!({"person": {"id": "1", "first_name": "Ada", "title": "Countess",
        "organization": {"name": "Analytical Engines", "estimated_num_employees": 120, "industry": "machinery"}}});
    hold(
        "apollo",
        &[
            (
                200,
                &[],
                person,
                r#"matched {"company":{"employees":120,"industry":"machinery","name":"Analytical Engines"},"first_name":"Ada","job_title":"Countess"}"#,
            ),
            (200, &[], json!({"person": null}), "not found"),
            (200, &[], json!({"person": {"email": "ada@engines.example"}}), "not found"),
            (429, &[("retry-after", "42")], json!({}), "rate limited 42"),
            (402, &[], json!({}), "out of credits 3600"),
            (422, &[], json!({}), "out of credits 3600"),
            (401, &[], json!("Invalid access credentials."), "auth error"),
            (403, &[], json!({"error_code": "API_INACCESSIBLE"}), "auth error"),
        ],
    )
    .await;
}

#[tokio::test]
async fn hunter_is_understood() {
    let data = json!({"data": {"person": {"name": {"givenName": "Ada"}, "employment": {"title": "Countess"}},
        "company": {"name": "Analytical Engines", "metrics": {"employees": "51-200"}}}, "meta": {}});
    hold(
        "hunter",
        &[
            (
                200,
                &[],
                data,
                r#"matched {"company":{"company_size":"51-200","name":"Analytical Engines"},"first_name":"Ada","job_title":"Countess"}"#,
            ),
            (404, &[], json!({}), "not found"),
            (202, &[], json!({}), "pending 30"),
            (222, &[], json!({}), "pending 600"),
            (403, &[], json!({}), "rate limited 60"),
            (429, &[], json!({}), "out of credits 3600"),
            (451, &[], json!({}), "blocked"),
            (401, &[], json!({}), "auth error"),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_speaks_as_clearbit_did_is_understood() {
    let both = json!({"person": {"employment": {"title": "Countess", "seniority": "executive"}},
        "company": {"domain": "engines.example", "metrics": {"employees": 120}, "category": {"industry": "machinery"}}});
    hold(
        "clearbit",
        &[
            (
                200,
                &[],
                both,
                r#"matched {"company":{"domain":"engines.example","employees":120,"industry":"machinery"},"job_title":"Countess"}"#,
            ),
            (200, &[], json!({"person": null, "company": {"name": "Engines"}}), r#"matched {"company":{"name":"Engines"}}"#),
            (200, &[], json!({"person": null, "company": null}), "not found"),
            (404, &[], json!({}), "not found"),
            (202, &[], json!({}), "pending 60"),
            (429, &[("x-ratelimit-reset", "1900000015")], json!({}), "rate limited 15"),
            (402, &[], json!({}), "out of credits 3600"),
            (422, &[], json!({}), "invalid input"),
            (401, &[], json!({}), "auth error"),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_provider_of_ones_own_is_understood() {
    hold(
        "generic",
        &[
            (
                200,
                &[],
                json!({"person": {"job_title": "Countess\nof Lovelace"}, "company": {"employees": 120}, "likelihood": 0.9}),
                r#"matched {"company":{"employees":120},"job_title":"Countess of Lovelace"}"#,
            ),
            (200, &[], json!({}), "not found"),
            (404, &[], json!("no such person"), "not found"),
            (202, &[("retry-after", "5")], json!({}), "pending 5"),
            (429, &[("retry-after", "Sun, 17 Mar 2030 17:47:10 GMT")], json!({}), "rate limited 30"),
            (429, &[("retry-after", "-5")], json!({}), "rate limited 1"),
            (429, &[("retry-after", "99999999999")], json!({}), "rate limited 604800"),
            (429, &[("retry-after", "soon")], json!({}), "rate limited 60"),
            (418, &[], json!({}), "error HTTP 418, retryable: false"),
            (302, &[("location", "http://127.0.0.1/")], json!({}), "error HTTP 302, retryable: false"),
        ],
    )
    .await;
}
