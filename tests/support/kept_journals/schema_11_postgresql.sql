--
-- PostgreSQL database dump
--

-- Dumped from database version 16.2
-- Dumped by pg_dump version 16.2

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: audit_rows_refuse(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.audit_rows_refuse() RETURNS trigger
    LANGUAGE plpgsql
    AS $$BEGIN RAISE EXCEPTION 'audit rows are append-only'; END$$;


SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: alembic_version; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);


--
-- Name: api_keys; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.api_keys (
    key_id text NOT NULL,
    tenant text NOT NULL,
    name text NOT NULL,
    scopes text NOT NULL,
    secret_sha256 text NOT NULL,
    limits text NOT NULL,
    create_us bigint NOT NULL,
    expire_us bigint,
    revoke_us bigint,
    last_used_us bigint,
    replaced_by text
);


--
-- Name: audit_rows; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.audit_rows (
    tenant text NOT NULL,
    sequence bigint NOT NULL,
    job_id text NOT NULL,
    version integer NOT NULL,
    kind text NOT NULL,
    body_json text NOT NULL,
    salt text,
    prompt text,
    personal text,
    previous_digest text NOT NULL,
    digest text NOT NULL,
    create_us bigint NOT NULL
);


--
-- Name: events; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.events (
    "position" bigint NOT NULL,
    job_id text NOT NULL,
    sequence bigint NOT NULL,
    tenant text NOT NULL,
    owner text NOT NULL,
    version integer NOT NULL,
    kind text NOT NULL,
    state text NOT NULL,
    track text,
    stage text,
    attempt integer NOT NULL,
    steps_done integer NOT NULL,
    steps_total integer NOT NULL,
    fraction double precision NOT NULL,
    time_left_s double precision,
    error text,
    time_us bigint NOT NULL
);


--
-- Name: events_position_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.events_position_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: events_position_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.events_position_seq OWNED BY public.events."position";


--
-- Name: job_labels; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.job_labels (
    job_id text NOT NULL,
    name text NOT NULL,
    value text NOT NULL
);


--
-- Name: jobs; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.jobs (
    job_id text NOT NULL,
    tenant text NOT NULL,
    owner text NOT NULL,
    request_id text NOT NULL,
    persona_id text NOT NULL,
    create_us bigint NOT NULL,
    last_sequence bigint NOT NULL,
    next_version integer NOT NULL,
    deleting boolean NOT NULL
);


--
-- Name: measured_failures; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.measured_failures (
    tenant text NOT NULL,
    job_id text NOT NULL,
    number integer NOT NULL,
    rerendered_stem text NOT NULL,
    error text NOT NULL,
    create_us bigint NOT NULL
);


--
-- Name: meta; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.meta (
    name text NOT NULL,
    value text NOT NULL
);


--
-- Name: requests; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.requests (
    tenant text NOT NULL,
    rpc text NOT NULL,
    request_id text NOT NULL,
    digest text NOT NULL,
    job_id text NOT NULL,
    version integer NOT NULL
);


--
-- Name: tenant_turns; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.tenant_turns (
    owner text NOT NULL,
    tenant text NOT NULL,
    virtual_s double precision NOT NULL
);


--
-- Name: tenant_usage; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.tenant_usage (
    tenant text NOT NULL,
    day integer NOT NULL,
    audio_s double precision DEFAULT '0'::double precision NOT NULL,
    upload_bytes bigint DEFAULT '0'::bigint NOT NULL
);


--
-- Name: versions; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.versions (
    job_id text NOT NULL,
    number integer NOT NULL,
    owner text NOT NULL,
    state text NOT NULL,
    attempt integer NOT NULL,
    crashes integer NOT NULL,
    stems_wanted boolean NOT NULL,
    stem_mode text NOT NULL,
    base_version integer NOT NULL,
    rerendered_stem text NOT NULL,
    brief text NOT NULL,
    plan text NOT NULL,
    files text NOT NULL,
    loudness text,
    timings text NOT NULL,
    error text,
    checkpointed_stage text,
    audio_s double precision NOT NULL,
    work_s double precision,
    expire_us bigint,
    create_us bigint NOT NULL,
    queued_us bigint NOT NULL,
    start_us bigint,
    end_us bigint,
    claim_token text,
    worker text,
    lease_s double precision,
    heartbeats bigint DEFAULT '0'::bigint NOT NULL,
    lost_token text,
    suspect boolean DEFAULT false NOT NULL,
    waiting text,
    waits text DEFAULT '{}'::text NOT NULL,
    prompt_erased boolean DEFAULT false NOT NULL,
    render_position bigint,
    stems_position bigint,
    tenant text DEFAULT ''::text NOT NULL,
    priority integer DEFAULT 0 NOT NULL,
    running_limit integer DEFAULT 0 NOT NULL,
    delete_us bigint
);


--
-- Name: webhook_deliveries; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.webhook_deliveries (
    delivery_id text NOT NULL,
    webhook_id text NOT NULL,
    tenant text NOT NULL,
    owner text NOT NULL,
    job_id text NOT NULL,
    sequence bigint NOT NULL,
    version integer NOT NULL,
    kind text NOT NULL,
    state text NOT NULL,
    attempts integer NOT NULL,
    earlier_attempts integer NOT NULL,
    status_code integer,
    problem text,
    next_attempt_us bigint,
    create_us bigint NOT NULL,
    end_us bigint
);


--
-- Name: webhooks; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.webhooks (
    webhook_id text NOT NULL,
    tenant text NOT NULL,
    job_id text,
    url text NOT NULL,
    kinds text NOT NULL,
    secret text NOT NULL,
    start_position bigint NOT NULL,
    create_us bigint NOT NULL,
    disable_us bigint,
    request_id text
);


--
-- Name: events position; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.events ALTER COLUMN "position" SET DEFAULT nextval('public.events_position_seq'::regclass);


--
-- Data for Name: alembic_version; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.alembic_version VALUES ('0011');


--
-- Data for Name: api_keys; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.api_keys VALUES ('abcdefgh2345', 'acme', 'mixing room', '["render", "read"]', 'abababababababababababababababababababababababababababababababab', '{"waiting_jobs": 5}', 1795867215000000, NULL, NULL, 1795867216000000, NULL);


--
-- Data for Name: audit_rows; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.audit_rows VALUES ('local', 1, 'j-01m8h0dkf88yd6p4gkdpczcc3e', 1, 'BOUNCE', '{"createdAt":"2026-11-28T12:00:02.000000Z","jobId":"j-01m8h0dkf88yd6p4gkdpczcc3e","kind":"BOUNCE","promptSha256":"b1cd6ae0484fb81f17d74d50d6b2072ba43829ecae3995c55d2d81a61a614484","seed":7,"sequence":1,"tenant":"local","version":1}', 'edb7817272d8aa1aab6cd9b1b468297e9418f327e6e47a3cee1e0a65508f39ea', 'warm tape piano, sombre, seventy beats', NULL, '0000000000000000000000000000000000000000000000000000000000000000', '16108285151929725e3bb9d4c67145a194e768ac91a3f187751017751ec20153', 1795867202000000);
INSERT INTO public.audit_rows VALUES ('local', 2, 'j-01m8h0dkf88yd6p4gkdpczcc3e', 1, 'STEMS', '{"createdAt":"2026-11-28T12:00:02.000000Z","jobId":"j-01m8h0dkf88yd6p4gkdpczcc3e","kind":"STEMS","promptSha256":"1241039ff27fcbc19b17ac5678d662fae22354975b19febe4df3060553f8c734","seed":7,"sequence":2,"tenant":"local","version":1}', '79fd79174a975c921b6cd336166a26729d955ac65cf1e6259f2c24c638a78ade', 'warm tape piano, sombre, seventy beats', NULL, '16108285151929725e3bb9d4c67145a194e768ac91a3f187751017751ec20153', 'dcf2e42ec679ece2bd62ce7840bc98f776eb88ff4228e3c020bdcff806dfc327', 1795867202000000);
INSERT INTO public.audit_rows VALUES ('local', 3, 'j-01m8h0dkf88yd6p4gkdpczcc3e', 2, 'STEMS', '{"createdAt":"2026-11-28T12:00:03.000000Z","jobId":"j-01m8h0dkf88yd6p4gkdpczcc3e","kind":"STEMS","promptSha256":"a6d571a804e95e190ba0e0d5dbf353d02bbb6cc1938ed45d809b65c09c822412","seed":8,"sequence":3,"tenant":"local","version":2}', 'c492b2c936789c9126eb3511f400e837896a40d2924933523b4f4d55922ea9ff', 'warm tape piano, sombre, seventy beats', NULL, 'dcf2e42ec679ece2bd62ce7840bc98f776eb88ff4228e3c020bdcff806dfc327', 'fe428d0fb00844ccea9a090dd6bfe5bf9590aa11baa8eb9371f34ca453619d95', 1795867203000000);
INSERT INTO public.audit_rows VALUES ('local', 4, 'j-01m8h0dpd0yy017ckxg9n0zx9j', 1, 'BOUNCE', '{"createdAt":"2026-11-28T12:00:05.000000Z","jobId":"j-01m8h0dpd0yy017ckxg9n0zx9j","kind":"BOUNCE","promptSha256":"0820222afe07b6d37c7d31d1d8dee4c4e904995bf26ba5979a7d6d374a8ce064","seed":7,"sequence":4,"tenant":"local","version":1}', '788a67f1ade2ee45abef47bff7c1eeabbe054c3e114f0dceaaa2a559ea876e5a', 'warm tape piano, sombre, seventy beats', NULL, 'fe428d0fb00844ccea9a090dd6bfe5bf9590aa11baa8eb9371f34ca453619d95', '50789ba07bd485739f50b7bb60adc997121a61b60c7d4aa83a4d8865c251d32b', 1795867205000000);
INSERT INTO public.audit_rows VALUES ('local', 5, 'j-01m8h0drbg6t95e5kw2qj520ed', 1, 'BOUNCE', '{"createdAt":"2026-11-28T12:00:07.000000Z","jobId":"j-01m8h0drbg6t95e5kw2qj520ed","kind":"BOUNCE","promptSha256":"930301e7a283e42993f6612c194f265a1d848964ba742516fc9a743714c2d737","seed":7,"sequence":5,"tenant":"local","version":1}', NULL, NULL, NULL, '50789ba07bd485739f50b7bb60adc997121a61b60c7d4aa83a4d8865c251d32b', 'e353c1e1e5df0832e66a4f8ff55a9ca8762d8bb57558ba4af2359a95fa8468c1', 1795867207000000);
INSERT INTO public.audit_rows VALUES ('local', 6, 'j-01m8h0dv98eev64we1m9h4vwp3', 1, 'BOUNCE', '{"createdAt":"2026-11-28T12:00:10.000000Z","jobId":"j-01m8h0dv98eev64we1m9h4vwp3","kind":"BOUNCE","promptSha256":"224389a91191fe5a362df831eaff97cb509d120cb354d67d3969a82fa68772d2","seed":7,"sequence":6,"tenant":"local","version":1}', '52cc983d9e22e8dada2d05ee2393cef428e7bbfa70223d8536c3497a52d39764', 'warm tape piano, sombre, seventy beats', NULL, 'e353c1e1e5df0832e66a4f8ff55a9ca8762d8bb57558ba4af2359a95fa8468c1', '01dd6a1d1e0798ce8198af65fe244b1f50f139a01671a9a7786336b4b6facf5f', 1795867210000000);
INSERT INTO public.audit_rows VALUES ('local', 7, 'j-01m8h0dx7rxz4jjtpkcsvk80rq', 1, 'BOUNCE', '{"createdAt":"2026-11-28T12:00:12.000000Z","jobId":"j-01m8h0dx7rxz4jjtpkcsvk80rq","kind":"BOUNCE","promptSha256":"71d3715dee9ffb6d7c31b9ae7780979234196a0880f31bdd4f43041ab8232597","seed":7,"sequence":7,"tenant":"local","version":1}', '03ec70972ae1974febbf6f8542cbc9408dcc81ddeacbc85dd1f0c89338a3ff5a', 'warm tape piano, sombre, seventy beats', NULL, '01dd6a1d1e0798ce8198af65fe244b1f50f139a01671a9a7786336b4b6facf5f', '78a78c82f9577ab5e5c642ad0816406285290e14aa0c20ff9b7c3a071245995a', 1795867212000000);


--
-- Data for Name: events; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.events VALUES (1, 'j-01m8h0dkf88yd6p4gkdpczcc3e', 1, 'local', 'RENDER', 1, 'STATE', 'QUEUED', NULL, NULL, 0, 0, 0, 0, NULL, NULL, 1795867201000000);
INSERT INTO public.events VALUES (2, 'j-01m8h0dkf88yd6p4gkdpczcc3e', 2, 'local', 'RENDER', 1, 'STATE', 'RUNNING', NULL, NULL, 1, 0, 0, 0, NULL, NULL, 1795867201000000);
INSERT INTO public.events VALUES (3, 'j-01m8h0dkf88yd6p4gkdpczcc3e', 3, 'local', 'RENDER', 1, 'PROGRESS', 'RUNNING', 'RENDER', 'DENOISE', 1, 1, 4, 0.25, NULL, NULL, 1795867201000000);
INSERT INTO public.events VALUES (4, 'j-01m8h0dkf88yd6p4gkdpczcc3e', 4, 'local', 'RENDER', 1, 'BOUNCE_READY', 'RUNNING', 'RENDER', 'BOUNCE', 1, 0, 0, 1, NULL, NULL, 1795867202000000);
INSERT INTO public.events VALUES (5, 'j-01m8h0dkf88yd6p4gkdpczcc3e', 5, 'local', 'RENDER', 1, 'STATE', 'DONE', NULL, NULL, 1, 0, 0, 0, NULL, NULL, 1795867202000000);
INSERT INTO public.events VALUES (6, 'j-01m8h0dkf88yd6p4gkdpczcc3e', 6, 'local', 'RENDER', 2, 'STATE', 'QUEUED', NULL, NULL, 0, 0, 0, 0, NULL, NULL, 1795867202000000);
INSERT INTO public.events VALUES (7, 'j-01m8h0dkf88yd6p4gkdpczcc3e', 7, 'local', 'RENDER', 2, 'STATE', 'RUNNING', NULL, NULL, 1, 0, 0, 0, NULL, NULL, 1795867203000000);
INSERT INTO public.events VALUES (8, 'j-01m8h0dkf88yd6p4gkdpczcc3e', 8, 'local', 'RENDER', 2, 'STATE', 'DONE', NULL, NULL, 1, 0, 0, 0, NULL, NULL, 1795867203000000);
INSERT INTO public.events VALUES (17, 'j-01m8h0dpd0yy017ckxg9n0zx9j', 9, 'local', 'RENDER', 2, 'DELETED', 'FAILED', NULL, NULL, 0, 0, 0, 0, NULL, NULL, 1795867205000000);
INSERT INTO public.events VALUES (18, 'j-01m8h0drbg6t95e5kw2qj520ed', 1, 'local', 'RENDER', 1, 'STATE', 'QUEUED', NULL, NULL, 0, 0, 0, 0, NULL, NULL, 1795867206000000);
INSERT INTO public.events VALUES (19, 'j-01m8h0drbg6t95e5kw2qj520ed', 2, 'local', 'RENDER', 1, 'STATE', 'RUNNING', NULL, NULL, 1, 0, 0, 0, NULL, NULL, 1795867206000000);
INSERT INTO public.events VALUES (20, 'j-01m8h0drbg6t95e5kw2qj520ed', 3, 'local', 'RENDER', 1, 'PROGRESS', 'RUNNING', 'RENDER', 'DENOISE', 1, 1, 4, 0.25, NULL, NULL, 1795867206000000);
INSERT INTO public.events VALUES (21, 'j-01m8h0drbg6t95e5kw2qj520ed', 4, 'local', 'RENDER', 1, 'BOUNCE_READY', 'RUNNING', 'RENDER', 'BOUNCE', 1, 0, 0, 1, NULL, NULL, 1795867207000000);
INSERT INTO public.events VALUES (22, 'j-01m8h0drbg6t95e5kw2qj520ed', 5, 'local', 'RENDER', 1, 'STATE', 'FAILED', NULL, NULL, 1, 0, 0, 0, NULL, '{"code": 13, "message": "x"}', 1795867207000000);
INSERT INTO public.events VALUES (23, 'j-01m8h0dta0fc85ym2vek5xvq4y', 1, 'local', 'RENDER', 1, 'STATE', 'QUEUED', NULL, NULL, 0, 0, 0, 0, NULL, NULL, 1795867208000000);
INSERT INTO public.events VALUES (24, 'j-01m8h0dta0fc85ym2vek5xvq4y', 2, 'local', 'RENDER', 1, 'STATE', 'RUNNING', NULL, NULL, 1, 0, 0, 0, NULL, NULL, 1795867208000000);
INSERT INTO public.events VALUES (25, 'j-01m8h0dta0fc85ym2vek5xvq4y', 3, 'local', 'RENDER', 1, 'STATE', 'FAILED', NULL, NULL, 1, 0, 0, 0, NULL, '{"code": 9, "message": "the service died 3 times", "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "TOO_MANY_ATTEMPTS", "domain": "sonichaos.ai", "metadata": {"attempts": "3"}}]}', 1795867208000000);
INSERT INTO public.events VALUES (26, 'j-01m8h0dv98eev64we1m9h4vwp3', 1, 'local', 'RENDER', 1, 'STATE', 'QUEUED', NULL, NULL, 0, 0, 0, 0, NULL, NULL, 1795867209000000);
INSERT INTO public.events VALUES (27, 'j-01m8h0dv98eev64we1m9h4vwp3', 2, 'local', 'RENDER', 1, 'STATE', 'RUNNING', NULL, NULL, 1, 0, 0, 0, NULL, NULL, 1795867209000000);
INSERT INTO public.events VALUES (28, 'j-01m8h0dv98eev64we1m9h4vwp3', 3, 'local', 'RENDER', 1, 'PROGRESS', 'RUNNING', 'RENDER', 'DENOISE', 1, 1, 4, 0.25, NULL, NULL, 1795867209000000);
INSERT INTO public.events VALUES (29, 'j-01m8h0dv98eev64we1m9h4vwp3', 4, 'local', 'RENDER', 1, 'BOUNCE_READY', 'RUNNING', 'RENDER', 'BOUNCE', 1, 0, 0, 1, NULL, NULL, 1795867210000000);
INSERT INTO public.events VALUES (30, 'j-01m8h0dv98eev64we1m9h4vwp3', 5, 'local', 'RENDER', 1, 'STATE', 'DONE', NULL, NULL, 1, 0, 0, 0, NULL, NULL, 1795867210000000);
INSERT INTO public.events VALUES (31, 'j-01m8h0dx7rxz4jjtpkcsvk80rq', 1, 'local', 'RENDER', 1, 'STATE', 'QUEUED', NULL, NULL, 0, 0, 0, 0, NULL, NULL, 1795867211000000);
INSERT INTO public.events VALUES (32, 'j-01m8h0dx7rxz4jjtpkcsvk80rq', 2, 'local', 'RENDER', 1, 'STATE', 'RUNNING', NULL, NULL, 1, 0, 0, 0, NULL, NULL, 1795867211000000);
INSERT INTO public.events VALUES (33, 'j-01m8h0dx7rxz4jjtpkcsvk80rq', 3, 'local', 'RENDER', 1, 'PROGRESS', 'RUNNING', 'RENDER', 'DENOISE', 1, 1, 4, 0.25, NULL, NULL, 1795867211000000);
INSERT INTO public.events VALUES (34, 'j-01m8h0dx7rxz4jjtpkcsvk80rq', 4, 'local', 'RENDER', 1, 'BOUNCE_READY', 'RUNNING', 'RENDER', 'BOUNCE', 1, 0, 0, 1, NULL, NULL, 1795867212000000);
INSERT INTO public.events VALUES (35, 'j-01m8h0dx7rxz4jjtpkcsvk80rq', 5, 'local', 'RENDER', 1, 'STATE', 'DONE', NULL, NULL, 1, 0, 0, 0, NULL, NULL, 1795867212000000);
INSERT INTO public.events VALUES (36, 'j-01m8h0dx7rxz4jjtpkcsvk80rq', 6, 'local', 'RENDER', 1, 'STATE', 'QUEUED', NULL, NULL, 1, 0, 0, 0, NULL, NULL, 1795867212000000);
INSERT INTO public.events VALUES (37, 'j-01m8h0dx7rxz4jjtpkcsvk80rq', 7, 'local', 'RENDER', 1, 'STATE', 'RUNNING', NULL, NULL, 2, 0, 0, 0, NULL, NULL, 1795867212000000);
INSERT INTO public.events VALUES (38, 'j-01m8h0dx7rxz4jjtpkcsvk80rq', 8, 'local', 'RENDER', 1, 'PROGRESS', 'RUNNING', 'STEMS', 'HANDOFF', 1, 0, 0, 0, NULL, NULL, 1795867212000000);
INSERT INTO public.events VALUES (39, 'j-01m8h0dz68ntqrzyp23t4xttm9', 1, 'local', 'RENDER', 1, 'STATE', 'QUEUED', NULL, NULL, 0, 0, 0, 0, NULL, NULL, 1795867213000000);
INSERT INTO public.events VALUES (40, 'j-01m8h0dz68ntqrzyp23t4xttm9', 2, 'local', 'RENDER', 1, 'STATE', 'RUNNING', NULL, NULL, 1, 0, 0, 0, NULL, NULL, 1795867213000000);
INSERT INTO public.events VALUES (41, 'j-01m8h0dz68ntqrzyp23t4xttm9', 3, 'local', 'RENDER', 1, 'STATE', 'CANCELLING', NULL, NULL, 1, 0, 0, 0, NULL, NULL, 1795867213000000);
INSERT INTO public.events VALUES (42, 'j-01m8h0e05g6ajvhx7xvafwhgmg', 1, 'local', 'RENDER', 1, 'STATE', 'QUEUED', NULL, NULL, 0, 0, 0, 0, NULL, NULL, 1795867214000000);
INSERT INTO public.events VALUES (43, 'j-01m8h0e05g6ajvhx7xvafwhgmg', 2, 'local', 'RENDER', 1, 'STATE', 'RUNNING', NULL, NULL, 1, 0, 0, 0, NULL, NULL, 1795867214000000);
INSERT INTO public.events VALUES (44, 'j-01m8h0e05g6ajvhx7xvafwhgmg', 3, 'local', 'RENDER', 1, 'PROGRESS', 'RUNNING', 'RENDER', 'DENOISE', 1, 1, 4, 0.25, NULL, NULL, 1795867214000000);
INSERT INTO public.events VALUES (45, 'j-01m8h0e14rxfmzfm4t4t8ndkt9', 1, 'local', 'RENDER', 1, 'STATE', 'QUEUED', NULL, NULL, 0, 0, 0, 0, NULL, NULL, 1795867215000000);
INSERT INTO public.events VALUES (46, 'j-01m8h0e14rakh058vmpzbr6f2c', 1, 'local', 'SEPARATION', 1, 'STATE', 'QUEUED', NULL, NULL, 0, 0, 0, 0, NULL, NULL, 1795867215000000);
INSERT INTO public.events VALUES (47, 'j-01m8h0e2400jerjts2yw01r66b', 1, 'acme', 'RENDER', 1, 'STATE', 'QUEUED', NULL, NULL, 0, 0, 0, 0, NULL, NULL, 1795867216000000);


--
-- Data for Name: job_labels; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.job_labels VALUES ('j-01m8h0dkf88yd6p4gkdpczcc3e', 'project', 'spring');
INSERT INTO public.job_labels VALUES ('j-01m8h0e14rxfmzfm4t4t8ndkt9', 'project', 'spring');


--
-- Data for Name: jobs; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.jobs VALUES ('j-01m8h0dkf88yd6p4gkdpczcc3e', 'local', 'RENDER', 'r1', 'nova', 1795867201000000, 8, 3, false);
INSERT INTO public.jobs VALUES ('j-01m8h0drbg6t95e5kw2qj520ed', 'local', 'RENDER', 'r3', 'nova', 1795867206000000, 5, 2, false);
INSERT INTO public.jobs VALUES ('j-01m8h0dta0fc85ym2vek5xvq4y', 'local', 'RENDER', 'r4', 'nova', 1795867208000000, 3, 2, false);
INSERT INTO public.jobs VALUES ('j-01m8h0dv98eev64we1m9h4vwp3', 'local', 'RENDER', 'r5', 'nova', 1795867209000000, 5, 2, true);
INSERT INTO public.jobs VALUES ('j-01m8h0dx7rxz4jjtpkcsvk80rq', 'local', 'RENDER', 'r6', 'nova', 1795867211000000, 8, 2, false);
INSERT INTO public.jobs VALUES ('j-01m8h0dz68ntqrzyp23t4xttm9', 'local', 'RENDER', 'r7', 'nova', 1795867213000000, 3, 2, false);
INSERT INTO public.jobs VALUES ('j-01m8h0e05g6ajvhx7xvafwhgmg', 'local', 'RENDER', 'r8', 'nova', 1795867214000000, 3, 2, false);
INSERT INTO public.jobs VALUES ('j-01m8h0e14rxfmzfm4t4t8ndkt9', 'local', 'RENDER', 'r9', 'nova', 1795867215000000, 1, 2, false);
INSERT INTO public.jobs VALUES ('j-01m8h0e14rakh058vmpzbr6f2c', 'local', 'SEPARATION', 'u1', '', 1795867215000000, 1, 2, false);
INSERT INTO public.jobs VALUES ('j-01m8h0e2400jerjts2yw01r66b', 'acme', 'RENDER', 'a1', 'nova', 1795867216000000, 1, 2, false);


--
-- Data for Name: measured_failures; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.measured_failures VALUES ('local', 'j-01m8h0dpd0yy017ckxg9n0zx9j', 2, 'VOCALS', '{"details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "DRIFT_EXCEEDED", "domain": "sonichaos.ai", "metadata": {"stem": "vocals"}}]}', 1795867205000000);


--
-- Data for Name: meta; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.meta VALUES ('token_key', '86df1fd6fd84b97ab5c71f9a0fd74244369c99007bdd218abc4cd8133d60f384');
INSERT INTO public.meta VALUES ('clock', '170dc3bd-2b7d-4921-ab6a-e71e8fb3f985 1795867216000000');
INSERT INTO public.meta VALUES ('schema_version', '11');


--
-- Data for Name: requests; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.requests VALUES ('local', 'Create', 'r1', 'd1', 'j-01m8h0dkf88yd6p4gkdpczcc3e', 1);
INSERT INTO public.requests VALUES ('local', 'Rerender', 'v1', 'd1', 'j-01m8h0dkf88yd6p4gkdpczcc3e', 2);
INSERT INTO public.requests VALUES ('local', 'Create', 'r3', '', 'j-01m8h0drbg6t95e5kw2qj520ed', 1);
INSERT INTO public.requests VALUES ('local', 'Create', 'r4', 'd1', 'j-01m8h0dta0fc85ym2vek5xvq4y', 1);
INSERT INTO public.requests VALUES ('local', 'Create', 'r5', 'd1', 'j-01m8h0dv98eev64we1m9h4vwp3', 1);
INSERT INTO public.requests VALUES ('local', 'Create', 'r6', 'd1', 'j-01m8h0dx7rxz4jjtpkcsvk80rq', 1);
INSERT INTO public.requests VALUES ('local', 'Create', 'r7', 'd1', 'j-01m8h0dz68ntqrzyp23t4xttm9', 1);
INSERT INTO public.requests VALUES ('local', 'Create', 'r8', 'd1', 'j-01m8h0e05g6ajvhx7xvafwhgmg', 1);
INSERT INTO public.requests VALUES ('local', 'Create', 'r9', 'd1', 'j-01m8h0e14rxfmzfm4t4t8ndkt9', 1);
INSERT INTO public.requests VALUES ('local', 'CreateSeparation', 'u1', 'd1', 'j-01m8h0e14rakh058vmpzbr6f2c', 1);
INSERT INTO public.requests VALUES ('acme', 'Create', 'a1', 'd1', 'j-01m8h0e2400jerjts2yw01r66b', 1);


--
-- Data for Name: tenant_turns; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.tenant_turns VALUES ('RENDER', '', 24);
INSERT INTO public.tenant_turns VALUES ('RENDER', 'local', 32);


--
-- Data for Name: tenant_usage; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.tenant_usage VALUES ('acme', 20785, 8, 4096);


--
-- Data for Name: versions; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.versions VALUES ('j-01m8h0dkf88yd6p4gkdpczcc3e', 1, 'RENDER', 'DONE', 1, 0, true, 'EXACT', 0, '', '{"prompt": "warm tape piano, sombre, seventy beats", "personaId": "nova", "seed": 7, "seconds": 8.0, "stems": true, "stemMode": "STEM_MODE_EXACT"}', '{"text": {"prompt": "warm tape piano, sombre, seventy beats"}, "seed": 7}', '{"bounce": {"key": "jobs/x/bounce.wav", "sizeBytes": "44", "sha256": "0000000000000000000000000000000000000000000000000000000000000000"}, "manifest": {"key": "jobs/x/v1.json", "sizeBytes": "2", "sha256": "2222222222222222222222222222222222222222222222222222222222222222"}, "zip": {"key": "jobs/x/v1.zip", "sizeBytes": "44", "sha256": "1111111111111111111111111111111111111111111111111111111111111111"}}', NULL, '[{"stage": "STAGE_DENOISE", "duration": "1.000000s", "attempt": 1}]', NULL, 'STORE', 8, 1, NULL, 1795867201000000, 1795867201000000, 1795867201000000, 1795867202000000, NULL, NULL, NULL, 0, NULL, false, NULL, '{}', false, 4, NULL, 'local', 0, 0, NULL);
INSERT INTO public.versions VALUES ('j-01m8h0drbg6t95e5kw2qj520ed', 1, 'RENDER', 'FAILED', 1, 0, true, 'EXACT', 0, '', '{"prompt": "", "personaId": "nova", "seed": 7, "seconds": 8.0, "stems": true, "stemMode": "STEM_MODE_EXACT"}', '{"text": {"prompt": ""}, "seed": 7}', '{"bounce": {"key": "jobs/x/bounce.wav", "sizeBytes": "44", "sha256": "0000000000000000000000000000000000000000000000000000000000000000"}, "manifest": {"key": "jobs/x/v1.json", "sizeBytes": "2", "sha256": "2222222222222222222222222222222222222222222222222222222222222222"}}', NULL, '[{"stage": "STAGE_DENOISE", "duration": "1.000000s", "attempt": 1}]', '{"code": 13, "message": "x"}', 'BOUNCE', 8, NULL, NULL, 1795867206000000, 1795867206000000, 1795867206000000, 1795867207000000, NULL, NULL, NULL, 0, NULL, false, NULL, '{}', true, 21, NULL, 'local', 0, 0, NULL);
INSERT INTO public.versions VALUES ('j-01m8h0dta0fc85ym2vek5xvq4y', 1, 'RENDER', 'FAILED', 1, 0, true, 'EXACT', 0, '', '{"prompt": "warm tape piano, sombre, seventy beats", "personaId": "nova", "seed": 7, "seconds": 8.0, "stems": true, "stemMode": "STEM_MODE_EXACT"}', '{"text": {"prompt": "warm tape piano, sombre, seventy beats"}, "seed": 7}', '{}', NULL, '[]', '{"code": 9, "message": "the service died 3 times", "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "TOO_MANY_ATTEMPTS", "domain": "sonichaos.ai", "metadata": {"attempts": "3"}}]}', NULL, 8, NULL, NULL, 1795867208000000, 1795867208000000, 1795867208000000, 1795867208000000, NULL, NULL, NULL, 0, NULL, false, NULL, '{}', false, NULL, NULL, 'local', 0, 0, NULL);
INSERT INTO public.versions VALUES ('j-01m8h0dv98eev64we1m9h4vwp3', 1, 'RENDER', 'DONE', 1, 0, true, 'EXACT', 0, '', '{"prompt": "warm tape piano, sombre, seventy beats", "personaId": "nova", "seed": 7, "seconds": 8.0, "stems": true, "stemMode": "STEM_MODE_EXACT"}', '{"text": {"prompt": "warm tape piano, sombre, seventy beats"}, "seed": 7}', '{"bounce": {"key": "jobs/x/bounce.wav", "sizeBytes": "44", "sha256": "0000000000000000000000000000000000000000000000000000000000000000"}, "manifest": {"key": "jobs/x/v1.json", "sizeBytes": "2", "sha256": "2222222222222222222222222222222222222222222222222222222222222222"}}', NULL, '[{"stage": "STAGE_DENOISE", "duration": "1.000000s", "attempt": 1}]', NULL, 'BOUNCE', 8, 1, NULL, 1795867209000000, 1795867209000000, 1795867209000000, 1795867210000000, NULL, NULL, NULL, 0, NULL, false, NULL, '{}', false, 29, NULL, 'local', 0, 0, NULL);
INSERT INTO public.versions VALUES ('j-01m8h0dx7rxz4jjtpkcsvk80rq', 1, 'RENDER', 'RUNNING', 2, 0, true, 'RAW', 0, '', '{"prompt": "warm tape piano, sombre, seventy beats", "personaId": "nova", "seed": 7, "seconds": 8.0, "stems": true, "stemMode": "STEM_MODE_RAW"}', '{"text": {"prompt": "warm tape piano, sombre, seventy beats"}, "seed": 7}', '{"bounce": {"key": "jobs/x/bounce.wav", "sizeBytes": "44", "sha256": "0000000000000000000000000000000000000000000000000000000000000000"}, "manifest": {"key": "jobs/x/v1.json", "sizeBytes": "2", "sha256": "2222222222222222222222222222222222222222222222222222222222222222"}, "kept": [{"key": "jobs/x/v1.json", "sizeBytes": "2", "sha256": "2222222222222222222222222222222222222222222222222222222222222222"}]}', NULL, '[{"stage": "STAGE_DENOISE", "duration": "1.000000s", "attempt": 1}]', NULL, 'BOUNCE', 8, 1, NULL, 1795867211000000, 1795867212000000, 1795867212000000, NULL, '1b39dc0352399a5785fae13418ddf7de', '22729-7690954d31b3d3db', 30, 0, NULL, false, '{"code": 14, "message": "separation_service does not answer"}', '{"SEPARATION_UNAVAILABLE": {"waitedS": 12.5, "refusals": 4, "stage": "HANDOFF"}}', false, 34, 38, 'local', 0, 0, NULL);
INSERT INTO public.versions VALUES ('j-01m8h0dz68ntqrzyp23t4xttm9', 1, 'RENDER', 'CANCELLING', 1, 0, true, 'EXACT', 0, '', '{"prompt": "warm tape piano, sombre, seventy beats", "personaId": "nova", "seed": 7, "seconds": 8.0, "stems": true, "stemMode": "STEM_MODE_EXACT"}', '{"text": {"prompt": "warm tape piano, sombre, seventy beats"}, "seed": 7}', '{}', NULL, '[]', NULL, NULL, 8, NULL, NULL, 1795867213000000, 1795867213000000, 1795867213000000, NULL, '6b7fd12ffe3222d444d1f8731c750f7a', '22729-7690954d31b3d3db', 30, 0, NULL, false, NULL, '{}', false, NULL, NULL, 'local', 0, 0, NULL);
INSERT INTO public.versions VALUES ('j-01m8h0e05g6ajvhx7xvafwhgmg', 1, 'RENDER', 'RUNNING', 1, 0, true, 'EXACT', 0, '', '{"prompt": "warm tape piano, sombre, seventy beats", "personaId": "nova", "seed": 7, "seconds": 8.0, "stems": true, "stemMode": "STEM_MODE_EXACT"}', '{"text": {"prompt": "warm tape piano, sombre, seventy beats"}, "seed": 7}', '{}', NULL, '[]', NULL, NULL, 8, NULL, 4949467216000000, 1795867214000000, 1795867214000000, 1795867214000000, NULL, 'ed46878339d9f0651d82bf7dfe75b0c5', '22729-7690954d31b3d3db', 30, 0, NULL, false, NULL, '{}', false, 44, NULL, 'local', 0, 0, NULL);
INSERT INTO public.versions VALUES ('j-01m8h0e14rxfmzfm4t4t8ndkt9', 1, 'RENDER', 'QUEUED', 0, 0, true, 'EXACT', 0, '', '{"prompt": "warm tape piano, sombre, seventy beats", "personaId": "nova", "seed": 7, "seconds": 8.0, "stems": true, "stemMode": "STEM_MODE_EXACT"}', '{"text": {"prompt": "warm tape piano, sombre, seventy beats"}, "seed": 7}', '{}', NULL, '[]', NULL, NULL, 8, NULL, NULL, 1795867215000000, 1795867215000000, NULL, NULL, NULL, NULL, NULL, 0, NULL, false, NULL, '{}', false, NULL, NULL, 'local', 0, 0, NULL);
INSERT INTO public.versions VALUES ('j-01m8h0e14rakh058vmpzbr6f2c', 1, 'SEPARATION', 'QUEUED', 0, 0, true, 'EXACT', 0, '', '{"prompt": "warm tape piano, sombre, seventy beats", "personaId": "", "seed": 7, "seconds": 8.0, "stems": true, "stemMode": "STEM_MODE_EXACT"}', '{"text": {"prompt": "warm tape piano, sombre, seventy beats"}, "seed": 7}', '{}', NULL, '[]', NULL, NULL, 8, NULL, NULL, 1795867215000000, 1795867215000000, NULL, NULL, NULL, NULL, NULL, 0, NULL, false, NULL, '{}', false, NULL, NULL, 'local', 0, 0, NULL);
INSERT INTO public.versions VALUES ('j-01m8h0e2400jerjts2yw01r66b', 1, 'RENDER', 'QUEUED', 0, 0, true, 'EXACT', 0, '', '{"prompt": "warm tape piano, sombre, seventy beats", "personaId": "nova", "seed": 7, "seconds": 8.0, "stems": true, "stemMode": "STEM_MODE_EXACT"}', '{"text": {"prompt": "warm tape piano, sombre, seventy beats"}, "seed": 7}', '{}', NULL, '[]', NULL, NULL, 8, NULL, NULL, 1795867216000000, 1795867216000000, NULL, NULL, NULL, NULL, NULL, 0, NULL, false, NULL, '{}', false, NULL, NULL, 'acme', 5, 0, NULL);
INSERT INTO public.versions VALUES ('j-01m8h0dkf88yd6p4gkdpczcc3e', 2, 'RENDER', 'DONE', 1, 0, true, 'EXACT', 1, 'VOCALS', '{"prompt": "warm tape piano, sombre, seventy beats", "personaId": "nova", "seed": 7, "seconds": 8.0, "stems": true, "stemMode": "STEM_MODE_EXACT"}', '{"text": {"prompt": "warm tape piano, sombre, seventy beats"}, "seed": 7}', '{"deleting": ["jobs/x/bounce.wav", "jobs/x/v1.zip"]}', NULL, '[]', NULL, 'STORE', 8, 0, NULL, 1795867202000000, 1795867202000000, 1795867203000000, 1795867203000000, NULL, NULL, NULL, 0, NULL, false, NULL, '{}', false, NULL, NULL, 'local', 0, 0, 1795952633255997);


--
-- Data for Name: webhook_deliveries; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.webhook_deliveries VALUES ('wd-01m8jmjjmbn0cmga3yp9k903x7', 'wh-01m8h0f0000000000000000001', 'local', 'RENDER', 'j-01m8h0dkf88yd6p4gkdpczcc3e', 8, 2, 'VERSION_ENDED', 'WAITING', 1, 0, NULL, NULL, 1795921959966662, 1795921889931979, NULL);
INSERT INTO public.webhook_deliveries VALUES ('wd-01m8jmjjmbfz6s9pvf5fs8q87a', 'wh-01m8h0f0000000000000000001', 'local', 'RENDER', 'j-01m8h0dkf88yd6p4gkdpczcc3e', 4, 1, 'BOUNCE_READY', 'DELIVERED', 1, 0, 204, NULL, NULL, 1795921889931977, 1795921889980413);
INSERT INTO public.webhook_deliveries VALUES ('wd-01m8jmjjmbq2t7qth37tp9qb80', 'wh-01m8h0f0000000000000000001', 'local', 'RENDER', 'j-01m8h0dkf88yd6p4gkdpczcc3e', 5, 1, 'VERSION_ENDED', 'WAITING', 1, 0, 500, 'STATUS', 1795921919983813, 1795921889931978, NULL);


--
-- Data for Name: webhooks; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.webhooks VALUES ('wh-01m8h0f0000000000000000002', 'local', NULL, 'https://receiver.example/hook', '["BOUNCE_READY", "VERSION_ENDED"]', 'whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA', 47, 1795921889954176, NULL, NULL);
INSERT INTO public.webhooks VALUES ('wh-01m8h0f0000000000000000001', 'local', 'j-01m8h0dkf88yd6p4gkdpczcc3e', 'https://receiver.example/hook', '["BOUNCE_READY", "VERSION_ENDED"]', 'whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA', 47, 1795921889931977, NULL, 'hook-1');


--
-- Name: events_position_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.events_position_seq', 47, true);


--
-- Name: alembic_version alembic_version_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkey PRIMARY KEY (version_num);


--
-- Name: api_keys api_keys_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_pkey PRIMARY KEY (key_id);


--
-- Name: audit_rows audit_rows_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.audit_rows
    ADD CONSTRAINT audit_rows_pkey PRIMARY KEY (tenant, sequence);


--
-- Name: audit_rows audit_rows_tenant_job_id_version_kind_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.audit_rows
    ADD CONSTRAINT audit_rows_tenant_job_id_version_kind_key UNIQUE (tenant, job_id, version, kind);


--
-- Name: events events_job_id_sequence_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_job_id_sequence_key UNIQUE (job_id, sequence);


--
-- Name: events events_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_pkey PRIMARY KEY ("position");


--
-- Name: job_labels job_labels_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.job_labels
    ADD CONSTRAINT job_labels_pkey PRIMARY KEY (job_id, name);


--
-- Name: jobs jobs_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.jobs
    ADD CONSTRAINT jobs_pkey PRIMARY KEY (job_id);


--
-- Name: measured_failures measured_failures_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.measured_failures
    ADD CONSTRAINT measured_failures_pkey PRIMARY KEY (tenant, job_id, number);


--
-- Name: meta meta_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.meta
    ADD CONSTRAINT meta_pkey PRIMARY KEY (name);


--
-- Name: requests requests_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.requests
    ADD CONSTRAINT requests_pkey PRIMARY KEY (tenant, rpc, request_id);


--
-- Name: tenant_turns tenant_turns_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.tenant_turns
    ADD CONSTRAINT tenant_turns_pkey PRIMARY KEY (owner, tenant);


--
-- Name: tenant_usage tenant_usage_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.tenant_usage
    ADD CONSTRAINT tenant_usage_pkey PRIMARY KEY (tenant, day);


--
-- Name: versions versions_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.versions
    ADD CONSTRAINT versions_pkey PRIMARY KEY (job_id, number);


--
-- Name: webhook_deliveries webhook_deliveries_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.webhook_deliveries
    ADD CONSTRAINT webhook_deliveries_pkey PRIMARY KEY (delivery_id);


--
-- Name: webhook_deliveries webhook_deliveries_webhook_id_job_id_sequence_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.webhook_deliveries
    ADD CONSTRAINT webhook_deliveries_webhook_id_job_id_sequence_key UNIQUE (webhook_id, job_id, sequence);


--
-- Name: webhooks webhooks_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.webhooks
    ADD CONSTRAINT webhooks_pkey PRIMARY KEY (webhook_id);


--
-- Name: audit_rows_of_job; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX audit_rows_of_job ON public.audit_rows USING btree (job_id, sequence);


--
-- Name: events_feed; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX events_feed ON public.events USING btree (owner, tenant, "position");


--
-- Name: events_of_owner; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX events_of_owner ON public.events USING btree (owner, "position");


--
-- Name: ix_requests_job_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_requests_job_id ON public.requests USING btree (job_id);


--
-- Name: ix_webhook_deliveries_job_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_webhook_deliveries_job_id ON public.webhook_deliveries USING btree (job_id);


--
-- Name: ix_webhooks_job_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_webhooks_job_id ON public.webhooks USING btree (job_id);


--
-- Name: jobs_deleting; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX jobs_deleting ON public.jobs USING btree (owner) WHERE (deleting IS TRUE);


--
-- Name: jobs_newest; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX jobs_newest ON public.jobs USING btree (tenant, create_us, job_id);


--
-- Name: jobs_of_owner; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX jobs_of_owner ON public.jobs USING btree (tenant, owner, create_us, job_id);


--
-- Name: jobs_oldest; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX jobs_oldest ON public.jobs USING btree (owner, create_us);


--
-- Name: versions_deleting; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX versions_deleting ON public.versions USING btree (owner) WHERE ((delete_us IS NOT NULL) AND (files <> '{}'::text));


--
-- Name: versions_expiring; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX versions_expiring ON public.versions USING btree (owner, state, expire_us) WHERE (expire_us IS NOT NULL);


--
-- Name: versions_measured; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX versions_measured ON public.versions USING btree (owner, state, stems_wanted, end_us) WHERE (work_s IS NOT NULL);


--
-- Name: versions_rerendered; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX versions_rerendered ON public.versions USING btree (rerendered_stem, create_us, job_id, number) WHERE (rerendered_stem <> ''::text);


--
-- Name: versions_waiting; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX versions_waiting ON public.versions USING btree (owner, state, tenant, priority, queued_us, job_id, number);


--
-- Name: webhook_deliveries_due; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX webhook_deliveries_due ON public.webhook_deliveries USING btree (owner, webhook_id, next_attempt_us) WHERE (next_attempt_us IS NOT NULL);


--
-- Name: webhook_deliveries_ended; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX webhook_deliveries_ended ON public.webhook_deliveries USING btree (owner, end_us) WHERE (end_us IS NOT NULL);


--
-- Name: webhook_deliveries_newest; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX webhook_deliveries_newest ON public.webhook_deliveries USING btree (webhook_id, create_us, delivery_id);


--
-- Name: webhook_deliveries_waiting; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX webhook_deliveries_waiting ON public.webhook_deliveries USING btree (tenant, webhook_id) WHERE (state = 'WAITING'::text);


--
-- Name: webhooks_of_tenant; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX webhooks_of_tenant ON public.webhooks USING btree (tenant, create_us, webhook_id);


--
-- Name: webhooks_requested; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX webhooks_requested ON public.webhooks USING btree (tenant, request_id) WHERE (request_id IS NOT NULL);


--
-- Name: webhooks_start; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX webhooks_start ON public.webhooks USING btree (start_position);


--
-- Name: audit_rows audit_rows_keep; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER audit_rows_keep BEFORE UPDATE ON public.audit_rows FOR EACH ROW WHEN (((new.tenant IS DISTINCT FROM old.tenant) OR (new.sequence IS DISTINCT FROM old.sequence) OR (new.job_id IS DISTINCT FROM old.job_id) OR (new.version IS DISTINCT FROM old.version) OR (new.kind IS DISTINCT FROM old.kind) OR (new.body_json IS DISTINCT FROM old.body_json) OR (new.previous_digest IS DISTINCT FROM old.previous_digest) OR (new.digest IS DISTINCT FROM old.digest) OR (new.create_us IS DISTINCT FROM old.create_us) OR ((new.prompt IS NOT NULL) AND (new.prompt IS DISTINCT FROM old.prompt)) OR ((new.personal IS NOT NULL) AND (new.personal IS DISTINCT FROM old.personal)) OR ((new.salt IS NOT NULL) AND (new.salt IS DISTINCT FROM old.salt)))) EXECUTE FUNCTION public.audit_rows_refuse();


--
-- Name: audit_rows audit_rows_stay; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER audit_rows_stay BEFORE DELETE ON public.audit_rows FOR EACH ROW EXECUTE FUNCTION public.audit_rows_refuse();


--
-- Name: audit_rows audit_rows_whole; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER audit_rows_whole BEFORE TRUNCATE ON public.audit_rows FOR EACH STATEMENT EXECUTE FUNCTION public.audit_rows_refuse();


--
-- Name: job_labels job_labels_job_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.job_labels
    ADD CONSTRAINT job_labels_job_id_fkey FOREIGN KEY (job_id) REFERENCES public.jobs(job_id) ON DELETE CASCADE;


--
-- Name: requests requests_job_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.requests
    ADD CONSTRAINT requests_job_id_fkey FOREIGN KEY (job_id) REFERENCES public.jobs(job_id) ON DELETE CASCADE;


--
-- Name: versions versions_job_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.versions
    ADD CONSTRAINT versions_job_id_fkey FOREIGN KEY (job_id) REFERENCES public.jobs(job_id) ON DELETE CASCADE;


--
-- Name: webhook_deliveries webhook_deliveries_job_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.webhook_deliveries
    ADD CONSTRAINT webhook_deliveries_job_id_fkey FOREIGN KEY (job_id) REFERENCES public.jobs(job_id) ON DELETE CASCADE;


--
-- Name: webhook_deliveries webhook_deliveries_webhook_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.webhook_deliveries
    ADD CONSTRAINT webhook_deliveries_webhook_id_fkey FOREIGN KEY (webhook_id) REFERENCES public.webhooks(webhook_id) ON DELETE CASCADE;


--
-- Name: webhooks webhooks_job_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.webhooks
    ADD CONSTRAINT webhooks_job_id_fkey FOREIGN KEY (job_id) REFERENCES public.jobs(job_id) ON DELETE CASCADE;


--
-- PostgreSQL database dump complete
--

