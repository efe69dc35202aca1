//! The tables, as the migrations leave them. A test compares this file with a migrated database.

diesel::table! {
    api_keys (id) {
        id -> Text,
        name -> Text,
        key_hash -> Text,
        prefix -> Text,
        scopes -> Text,
        created_at -> Text,
        last_used_at -> Nullable<Text>,
        revoked_at -> Nullable<Text>,
    }
}

diesel::table! {
    finding_comments (id) {
        id -> Text,
        fingerprint -> Text,
        text -> Text,
        author -> Nullable<Text>,
        created_at -> Text,
    }
}

diesel::table! {
    finding_states (fingerprint) {
        fingerprint -> Text,
        status -> Text,
        note -> Nullable<Text>,
        updated_at -> Text,
        updated_by -> Nullable<Text>,
    }
}

diesel::table! {
    findings (id) {
        id -> Text,
        scan_id -> Text,
        scanner -> Text,
        scan_type -> Text,
        severity -> Text,
        title -> Text,
        description -> Text,
        file_path -> Nullable<Text>,
        line_start -> Nullable<BigInt>,
        line_end -> Nullable<BigInt>,
        rule_id -> Nullable<Text>,
        cwe -> Nullable<Text>,
        remediation -> Nullable<Text>,
        metadata -> Nullable<Text>,
        fingerprint -> Nullable<Text>,
        compliance_tags -> Nullable<Text>,
        fingerprint_v2 -> Text,
    }
}

diesel::table! {
    notifications (id) {
        id -> Text,
        #[sql_name = "type"]
        type_ -> Text,
        title -> Text,
        body -> Nullable<Text>,
        link -> Nullable<Text>,
        severity -> Text,
        created_at -> Text,
        read_at -> Nullable<Text>,
    }
}

diesel::table! {
    sbom_components (id) {
        id -> Text,
        sbom_id -> Text,
        name -> Text,
        version -> Text,
        #[sql_name = "type"]
        type_ -> Text,
        purl -> Nullable<Text>,
        license -> Nullable<Text>,
        supplier -> Nullable<Text>,
    }
}

diesel::table! {
    sbom_documents (id) {
        id -> Text,
        scan_id -> Nullable<Text>,
        target_path -> Text,
        format -> Text,
        created_at -> Text,
    }
}

diesel::table! {
    scan_scanners (scan_id, position) {
        scan_id -> Text,
        position -> BigInt,
        scanner -> Text,
        status -> Text,
        reason -> Nullable<Text>,
        install_hint -> Nullable<Text>,
        version -> Nullable<Text>,
        findings_count -> BigInt,
        duration_ms -> BigInt,
        files_seen -> BigInt,
        bytes_seen -> BigInt,
        skipped -> Text,
    }
}

diesel::table! {
    scans (id) {
        id -> Text,
        target_path -> Text,
        scan_types -> Text,
        status -> Text,
        started_at -> Nullable<Text>,
        completed_at -> Nullable<Text>,
        findings_count -> Nullable<BigInt>,
        risk_score -> Nullable<Double>,
        summary -> Nullable<Text>,
        error -> Nullable<Text>,
        target_url -> Nullable<Text>,
        target_host -> Nullable<Text>,
        scanners_run -> Nullable<Text>,
        scanners_skipped -> Nullable<Text>,
        created_at -> Nullable<Text>,
    }
}

diesel::table! {
    webhook_deliveries (id) {
        id -> Text,
        webhook_id -> Text,
        event -> Text,
        payload -> Text,
        status -> Text,
        attempt -> BigInt,
        next_attempt_at -> Text,
        created_at -> Text,
        updated_at -> Text,
        response_code -> Nullable<BigInt>,
        response_body -> Nullable<Text>,
    }
}

diesel::table! {
    webhooks (id) {
        id -> Text,
        name -> Text,
        url -> Text,
        secret -> Text,
        event_filter -> Text,
        enabled -> BigInt,
        created_at -> Text,
    }
}

diesel::joinable!(findings -> scans (scan_id));
diesel::joinable!(sbom_components -> sbom_documents (sbom_id));
diesel::joinable!(scan_scanners -> scans (scan_id));
diesel::joinable!(webhook_deliveries -> webhooks (webhook_id));

diesel::allow_tables_to_appear_in_same_query!(
    api_keys,
    finding_comments,
    finding_states,
    findings,
    notifications,
    sbom_components,
    sbom_documents,
    scan_scanners,
    scans,
    webhook_deliveries,
    webhooks,
);
