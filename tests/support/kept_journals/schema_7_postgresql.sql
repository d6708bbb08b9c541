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
    stems_position bigint
);


--
-- Name: events position; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.events ALTER COLUMN "position" SET DEFAULT nextval('public.events_position_seq'::regclass);


--
-- Data for Name: alembic_version; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.alembic_version VALUES ('0007');


--
-- Data for Name: audit_rows; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.audit_rows VALUES ('local', 1, 'j-01m8hy3q3t003s61s31xjgyz4b', 1, 'BOUNCE', '{"createdAt":"2026-11-28T20:38:55.441095Z","jobId":"j-01m8hy3q3t003s61s31xjgyz4b","kind":"BOUNCE","promptSha256":"10474bacb5eb42479badbc70254c005b0b4e5041c7e6e00825a4492a2171aab0","seed":7,"sequence":1,"tenant":"local","version":1}', '05672cb1c5835d6af9c4657e5a840d47b92890ca71ebe7283df547f9df2f40f5', 'warm tape piano, sombre, seventy beats', '0000000000000000000000000000000000000000000000000000000000000000', 'b88ecd69e31a0e37bd0073f0350f99497808b87dd1c4414129a21359ef8b6d0d', 1795898335441095);
INSERT INTO public.audit_rows VALUES ('local', 2, 'j-01m8hy3q3t003s61s31xjgyz4b', 1, 'STEMS', '{"createdAt":"2026-11-28T20:38:55.654714Z","jobId":"j-01m8hy3q3t003s61s31xjgyz4b","kind":"STEMS","promptSha256":"a8db06630ec9fa23c65a7230d3be0798d6318ef2519b4391aed208e8cb2b4e80","seed":7,"sequence":2,"tenant":"local","version":1}', '5307af2c22e90543a824ce640825d070625e8ba2ea5759587f80a1c3eb5fb1b8', 'warm tape piano, sombre, seventy beats', 'b88ecd69e31a0e37bd0073f0350f99497808b87dd1c4414129a21359ef8b6d0d', '0e5b6fe6a0d8a2657fe60aedbfbd38974004efd4e2c0fc068ba0b276b759457b', 1795898335654714);
INSERT INTO public.audit_rows VALUES ('local', 3, 'j-01m8hy3q3t003s61s31xjgyz4b', 2, 'STEMS', '{"createdAt":"2026-11-28T20:38:56.224212Z","jobId":"j-01m8hy3q3t003s61s31xjgyz4b","kind":"STEMS","promptSha256":"921dedf0483839dfb8e6a66bd34be481e9a6dab5ad502af51b1a4a1dbe963d15","seed":8,"sequence":3,"tenant":"local","version":2}', '75cff29e95cc320a3998732c72850166636a93e4cba881d8c34fdf1a20e913e5', 'warm tape piano, sombre, seventy beats', '0e5b6fe6a0d8a2657fe60aedbfbd38974004efd4e2c0fc068ba0b276b759457b', 'cdb8b2bb41d0a696dc515d7107b19c8a084e2e35d86e14db8272c4575845ec8e', 1795898336224212);
INSERT INTO public.audit_rows VALUES ('local', 4, 'j-01m8hy3s4c2b5nknspmyahvwdt', 1, 'BOUNCE', '{"createdAt":"2026-11-28T20:38:57.993316Z","jobId":"j-01m8hy3s4c2b5nknspmyahvwdt","kind":"BOUNCE","promptSha256":"a8abbf2e3e5ed52693b90a22423a6160872a8229d6fd526975502988d6988e2a","seed":7,"sequence":4,"tenant":"local","version":1}', 'ddb4caae9f4797252fb5ebb78027714c42f966d9b325a0ea9a317dc519e1c39d', 'warm tape piano, sombre, seventy beats', 'cdb8b2bb41d0a696dc515d7107b19c8a084e2e35d86e14db8272c4575845ec8e', '852cc31bd9e997c8027323fe4cd839c464a2cdb9e5e1f428c90a99494a273867', 1795898337993316);
INSERT INTO public.audit_rows VALUES ('local', 5, 'j-01m8hy3wqxdgrhxtqsx1wyqnn7', 1, 'BOUNCE', '{"createdAt":"2026-11-28T20:39:01.172026Z","jobId":"j-01m8hy3wqxdgrhxtqsx1wyqnn7","kind":"BOUNCE","promptSha256":"30bd0c3156727f2f09213024532c6f2bd5177892ec33825a9c3ecb529aa2a36c","seed":7,"sequence":5,"tenant":"local","version":1}', NULL, NULL, '852cc31bd9e997c8027323fe4cd839c464a2cdb9e5e1f428c90a99494a273867', '01a6d81ad3c9371c4ad3ac1de1b517d9c6c30c3c4c23165e05b3573e418dc975', 1795898341172026);
INSERT INTO public.audit_rows VALUES ('local', 6, 'j-01m8hy410d68w8agtq8663rrpz', 1, 'BOUNCE', '{"createdAt":"2026-11-28T20:39:06.176446Z","jobId":"j-01m8hy410d68w8agtq8663rrpz","kind":"BOUNCE","promptSha256":"8257688bc7abc3aab0f15a22c1159b1407099d9dc4e439a2f6116c683fce3a20","seed":7,"sequence":6,"tenant":"local","version":1}', 'bfaa57ff3896a7e5e5260d61f3af91620905aa795b073fcc985ffa6800340d39', 'warm tape piano, sombre, seventy beats', '01a6d81ad3c9371c4ad3ac1de1b517d9c6c30c3c4c23165e05b3573e418dc975', '3fcf906291914e338d2f74916bb9ffd59c18d1b1a23f28ecc14dafd534f5dc0b', 1795898346176446);
INSERT INTO public.audit_rows VALUES ('local', 7, 'j-01m8hy43am3mmqrp9vjpmbg2y4', 1, 'BOUNCE', '{"createdAt":"2026-11-28T20:39:08.814879Z","jobId":"j-01m8hy43am3mmqrp9vjpmbg2y4","kind":"BOUNCE","promptSha256":"58f0776fe522ab57bb6bee2f1a53e62cab1b2d14f557dc9a956d848ddcdb3e8c","seed":7,"sequence":7,"tenant":"local","version":1}', '222ded6d2b48dbee793ede627db26c07fcd8b280aa704d96491bde7ba4c112f0', 'warm tape piano, sombre, seventy beats', '3fcf906291914e338d2f74916bb9ffd59c18d1b1a23f28ecc14dafd534f5dc0b', '41ebd188b742cebd2387102dd1e1367d683e322b12aff144d509c86a0de1b1a0', 1795898348814879);


--
-- Data for Name: events; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.events VALUES (1, 'j-01m8hy3q3t003s61s31xjgyz4b', 1, 'local', 'RENDER', 1, 'STATE', 'QUEUED', NULL, NULL, 0, 0, 0, 0, NULL, NULL, 1795898334330813);
INSERT INTO public.events VALUES (2, 'j-01m8hy3q3t003s61s31xjgyz4b', 2, 'local', 'RENDER', 1, 'STATE', 'RUNNING', NULL, NULL, 1, 0, 0, 0, NULL, NULL, 1795898335319870);
INSERT INTO public.events VALUES (3, 'j-01m8hy3q3t003s61s31xjgyz4b', 3, 'local', 'RENDER', 1, 'PROGRESS', 'RUNNING', 'RENDER', 'DENOISE', 1, 1, 4, 0.25, NULL, NULL, 1795898335410171);
INSERT INTO public.events VALUES (4, 'j-01m8hy3q3t003s61s31xjgyz4b', 4, 'local', 'RENDER', 1, 'BOUNCE_READY', 'RUNNING', 'RENDER', 'BOUNCE', 1, 0, 0, 1, NULL, NULL, 1795898335441095);
INSERT INTO public.events VALUES (5, 'j-01m8hy3q3t003s61s31xjgyz4b', 5, 'local', 'RENDER', 1, 'STATE', 'DONE', NULL, NULL, 1, 0, 0, 0, NULL, NULL, 1795898335700134);
INSERT INTO public.events VALUES (6, 'j-01m8hy3q3t003s61s31xjgyz4b', 6, 'local', 'RENDER', 2, 'STATE', 'QUEUED', NULL, NULL, 0, 0, 0, 0, NULL, NULL, 1795898335722019);
INSERT INTO public.events VALUES (7, 'j-01m8hy3q3t003s61s31xjgyz4b', 7, 'local', 'RENDER', 2, 'STATE', 'RUNNING', NULL, NULL, 1, 0, 0, 0, NULL, NULL, 1795898336009959);
INSERT INTO public.events VALUES (8, 'j-01m8hy3q3t003s61s31xjgyz4b', 8, 'local', 'RENDER', 2, 'STATE', 'DONE', NULL, NULL, 1, 0, 0, 0, NULL, NULL, 1795898336301165);
INSERT INTO public.events VALUES (17, 'j-01m8hy3s4c2b5nknspmyahvwdt', 9, 'local', 'RENDER', 2, 'DELETED', 'FAILED', NULL, NULL, 0, 0, 0, 0, NULL, NULL, 1795898339982441);
INSERT INTO public.events VALUES (18, 'j-01m8hy3wqxdgrhxtqsx1wyqnn7', 1, 'local', 'RENDER', 1, 'STATE', 'QUEUED', NULL, NULL, 0, 0, 0, 0, NULL, NULL, 1795898340093508);
INSERT INTO public.events VALUES (19, 'j-01m8hy3wqxdgrhxtqsx1wyqnn7', 2, 'local', 'RENDER', 1, 'STATE', 'RUNNING', NULL, NULL, 1, 0, 0, 0, NULL, NULL, 1795898340236730);
INSERT INTO public.events VALUES (20, 'j-01m8hy3wqxdgrhxtqsx1wyqnn7', 3, 'local', 'RENDER', 1, 'PROGRESS', 'RUNNING', 'RENDER', 'DENOISE', 1, 1, 4, 0.25, NULL, NULL, 1795898340931574);
INSERT INTO public.events VALUES (21, 'j-01m8hy3wqxdgrhxtqsx1wyqnn7', 4, 'local', 'RENDER', 1, 'BOUNCE_READY', 'RUNNING', 'RENDER', 'BOUNCE', 1, 0, 0, 1, NULL, NULL, 1795898341172026);
INSERT INTO public.events VALUES (22, 'j-01m8hy3wqxdgrhxtqsx1wyqnn7', 5, 'local', 'RENDER', 1, 'STATE', 'FAILED', NULL, NULL, 1, 0, 0, 0, NULL, '{"code": 13, "message": "x"}', 1795898341623314);
INSERT INTO public.events VALUES (23, 'j-01m8hy3zgtfc3tvvn0j123jzjt', 1, 'local', 'RENDER', 1, 'STATE', 'QUEUED', NULL, NULL, 0, 0, 0, 0, NULL, NULL, 1795898342938026);
INSERT INTO public.events VALUES (24, 'j-01m8hy3zgtfc3tvvn0j123jzjt', 2, 'local', 'RENDER', 1, 'STATE', 'RUNNING', NULL, NULL, 1, 0, 0, 0, NULL, NULL, 1795898343736158);
INSERT INTO public.events VALUES (25, 'j-01m8hy3zgtfc3tvvn0j123jzjt', 3, 'local', 'RENDER', 1, 'STATE', 'FAILED', NULL, NULL, 1, 0, 0, 0, NULL, '{"code": 9, "message": "the service died 3 times", "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "TOO_MANY_ATTEMPTS", "domain": "sonichaos.ai", "metadata": {"attempts": "3"}}]}', 1795898344305520);
INSERT INTO public.events VALUES (26, 'j-01m8hy410d68w8agtq8663rrpz', 1, 'local', 'RENDER', 1, 'STATE', 'QUEUED', NULL, NULL, 0, 0, 0, 0, NULL, NULL, 1795898344461384);
INSERT INTO public.events VALUES (27, 'j-01m8hy410d68w8agtq8663rrpz', 2, 'local', 'RENDER', 1, 'STATE', 'RUNNING', NULL, NULL, 1, 0, 0, 0, NULL, NULL, 1795898344988036);
INSERT INTO public.events VALUES (28, 'j-01m8hy410d68w8agtq8663rrpz', 3, 'local', 'RENDER', 1, 'PROGRESS', 'RUNNING', 'RENDER', 'DENOISE', 1, 1, 4, 0.25, NULL, NULL, 1795898345945368);
INSERT INTO public.events VALUES (29, 'j-01m8hy410d68w8agtq8663rrpz', 4, 'local', 'RENDER', 1, 'BOUNCE_READY', 'RUNNING', 'RENDER', 'BOUNCE', 1, 0, 0, 1, NULL, NULL, 1795898346176446);
INSERT INTO public.events VALUES (30, 'j-01m8hy410d68w8agtq8663rrpz', 5, 'local', 'RENDER', 1, 'STATE', 'DONE', NULL, NULL, 1, 0, 0, 0, NULL, NULL, 1795898346539615);
INSERT INTO public.events VALUES (31, 'j-01m8hy43am3mmqrp9vjpmbg2y4', 1, 'local', 'RENDER', 1, 'STATE', 'QUEUED', NULL, NULL, 0, 0, 0, 0, NULL, NULL, 1795898346836841);
INSERT INTO public.events VALUES (32, 'j-01m8hy43am3mmqrp9vjpmbg2y4', 2, 'local', 'RENDER', 1, 'STATE', 'RUNNING', NULL, NULL, 1, 0, 0, 0, NULL, NULL, 1795898347637356);
INSERT INTO public.events VALUES (33, 'j-01m8hy43am3mmqrp9vjpmbg2y4', 3, 'local', 'RENDER', 1, 'PROGRESS', 'RUNNING', 'RENDER', 'DENOISE', 1, 1, 4, 0.25, NULL, NULL, 1795898348626012);
INSERT INTO public.events VALUES (34, 'j-01m8hy43am3mmqrp9vjpmbg2y4', 4, 'local', 'RENDER', 1, 'BOUNCE_READY', 'RUNNING', 'RENDER', 'BOUNCE', 1, 0, 0, 1, NULL, NULL, 1795898348814879);
INSERT INTO public.events VALUES (35, 'j-01m8hy43am3mmqrp9vjpmbg2y4', 5, 'local', 'RENDER', 1, 'STATE', 'DONE', NULL, NULL, 1, 0, 0, 0, NULL, NULL, 1795898349120063);
INSERT INTO public.events VALUES (36, 'j-01m8hy43am3mmqrp9vjpmbg2y4', 6, 'local', 'RENDER', 1, 'STATE', 'QUEUED', NULL, NULL, 1, 0, 0, 0, NULL, NULL, 1795898349315837);
INSERT INTO public.events VALUES (37, 'j-01m8hy43am3mmqrp9vjpmbg2y4', 7, 'local', 'RENDER', 1, 'STATE', 'RUNNING', NULL, NULL, 2, 0, 0, 0, NULL, NULL, 1795898350634726);
INSERT INTO public.events VALUES (38, 'j-01m8hy43am3mmqrp9vjpmbg2y4', 8, 'local', 'RENDER', 1, 'PROGRESS', 'RUNNING', 'STEMS', 'HANDOFF', 1, 0, 0, 0, NULL, NULL, 1795898351543136);
INSERT INTO public.events VALUES (39, 'j-01m8hy484rrfgf9rjqq3tf5e8b', 1, 'local', 'RENDER', 1, 'STATE', 'QUEUED', NULL, NULL, 0, 0, 0, 0, NULL, NULL, 1795898351768396);
INSERT INTO public.events VALUES (40, 'j-01m8hy484rrfgf9rjqq3tf5e8b', 2, 'local', 'RENDER', 1, 'STATE', 'RUNNING', NULL, NULL, 1, 0, 0, 0, NULL, NULL, 1795898352726294);
INSERT INTO public.events VALUES (41, 'j-01m8hy484rrfgf9rjqq3tf5e8b', 3, 'local', 'RENDER', 1, 'STATE', 'CANCELLING', NULL, NULL, 1, 0, 0, 0, NULL, NULL, 1795898353613660);
INSERT INTO public.events VALUES (42, 'j-01m8hy4awvj1xf2h6vwcmw784w', 1, 'local', 'RENDER', 1, 'STATE', 'QUEUED', NULL, NULL, 0, 0, 0, 0, NULL, NULL, 1795898354587058);
INSERT INTO public.events VALUES (43, 'j-01m8hy4awvj1xf2h6vwcmw784w', 2, 'local', 'RENDER', 1, 'STATE', 'RUNNING', NULL, NULL, 1, 0, 0, 0, NULL, NULL, 1795898355756812);
INSERT INTO public.events VALUES (44, 'j-01m8hy4awvj1xf2h6vwcmw784w', 3, 'local', 'RENDER', 1, 'PROGRESS', 'RUNNING', 'RENDER', 'DENOISE', 1, 1, 4, 0.25, NULL, NULL, 1795898356730259);
INSERT INTO public.events VALUES (45, 'j-01m8hy4dbwhkf566014rz1fnm7', 1, 'local', 'RENDER', 1, 'STATE', 'QUEUED', NULL, NULL, 0, 0, 0, 0, NULL, NULL, 1795898357116939);
INSERT INTO public.events VALUES (46, 'j-01m8hy4ecr358jztxfznnkzy85', 1, 'local', 'SEPARATION', 1, 'STATE', 'QUEUED', NULL, NULL, 0, 0, 0, 0, NULL, NULL, 1795898358168204);


--
-- Data for Name: job_labels; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.job_labels VALUES ('j-01m8hy3q3t003s61s31xjgyz4b', 'project', 'spring');
INSERT INTO public.job_labels VALUES ('j-01m8hy4dbwhkf566014rz1fnm7', 'project', 'spring');


--
-- Data for Name: jobs; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.jobs VALUES ('j-01m8hy3q3t003s61s31xjgyz4b', 'local', 'RENDER', 'r1', 'nova', 1795898334330813, 8, 3, false);
INSERT INTO public.jobs VALUES ('j-01m8hy3wqxdgrhxtqsx1wyqnn7', 'local', 'RENDER', 'r3', 'nova', 1795898340093508, 5, 2, false);
INSERT INTO public.jobs VALUES ('j-01m8hy3zgtfc3tvvn0j123jzjt', 'local', 'RENDER', 'r4', 'nova', 1795898342938026, 3, 2, false);
INSERT INTO public.jobs VALUES ('j-01m8hy410d68w8agtq8663rrpz', 'local', 'RENDER', 'r5', 'nova', 1795898344461384, 5, 2, true);
INSERT INTO public.jobs VALUES ('j-01m8hy43am3mmqrp9vjpmbg2y4', 'local', 'RENDER', 'r6', 'nova', 1795898346836841, 8, 2, false);
INSERT INTO public.jobs VALUES ('j-01m8hy484rrfgf9rjqq3tf5e8b', 'local', 'RENDER', 'r7', 'nova', 1795898351768396, 3, 2, false);
INSERT INTO public.jobs VALUES ('j-01m8hy4awvj1xf2h6vwcmw784w', 'local', 'RENDER', 'r8', 'nova', 1795898354587058, 3, 2, false);
INSERT INTO public.jobs VALUES ('j-01m8hy4dbwhkf566014rz1fnm7', 'local', 'RENDER', 'r9', 'nova', 1795898357116939, 1, 2, false);
INSERT INTO public.jobs VALUES ('j-01m8hy4ecr358jztxfznnkzy85', 'local', 'SEPARATION', 'u1', '', 1795898358168204, 1, 2, false);


--
-- Data for Name: measured_failures; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.measured_failures VALUES ('local', 'j-01m8hy3s4c2b5nknspmyahvwdt', 2, 'VOCALS', '{"details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "DRIFT_EXCEEDED", "domain": "sonichaos.ai", "metadata": {"stem": "vocals"}}]}', 1795898338640195);


--
-- Data for Name: meta; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.meta VALUES ('schema_version', '7');
INSERT INTO public.meta VALUES ('token_key', '1d651a787cd33ccbcf13cead7e96c9033badbda7b59649936ecba6fadc62c083');
INSERT INTO public.meta VALUES ('purge_pending', '1');


--
-- Data for Name: requests; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.requests VALUES ('local', 'Create', 'r1', 'd1', 'j-01m8hy3q3t003s61s31xjgyz4b', 1);
INSERT INTO public.requests VALUES ('local', 'Rerender', 'v1', 'd1', 'j-01m8hy3q3t003s61s31xjgyz4b', 2);
INSERT INTO public.requests VALUES ('local', 'Create', 'r3', '', 'j-01m8hy3wqxdgrhxtqsx1wyqnn7', 1);
INSERT INTO public.requests VALUES ('local', 'Create', 'r4', 'd1', 'j-01m8hy3zgtfc3tvvn0j123jzjt', 1);
INSERT INTO public.requests VALUES ('local', 'Create', 'r5', 'd1', 'j-01m8hy410d68w8agtq8663rrpz', 1);
INSERT INTO public.requests VALUES ('local', 'Create', 'r6', 'd1', 'j-01m8hy43am3mmqrp9vjpmbg2y4', 1);
INSERT INTO public.requests VALUES ('local', 'Create', 'r7', 'd1', 'j-01m8hy484rrfgf9rjqq3tf5e8b', 1);
INSERT INTO public.requests VALUES ('local', 'Create', 'r8', 'd1', 'j-01m8hy4awvj1xf2h6vwcmw784w', 1);
INSERT INTO public.requests VALUES ('local', 'Create', 'r9', 'd1', 'j-01m8hy4dbwhkf566014rz1fnm7', 1);
INSERT INTO public.requests VALUES ('local', 'CreateSeparation', 'u1', 'd1', 'j-01m8hy4ecr358jztxfznnkzy85', 1);


--
-- Data for Name: versions; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.versions VALUES ('j-01m8hy3q3t003s61s31xjgyz4b', 2, 'RENDER', 'DONE', 1, 0, true, 'EXACT', 1, 'VOCALS', '{"prompt": "warm tape piano, sombre, seventy beats", "personaId": "nova", "seed": 7, "seconds": 8.0, "stems": true, "stemMode": "STEM_MODE_EXACT"}', '{"text": {"prompt": "warm tape piano, sombre, seventy beats"}, "seed": 7}', '{"bounce": {"key": "jobs/x/bounce.wav", "sizeBytes": "44", "sha256": "0000000000000000000000000000000000000000000000000000000000000000"}, "zip": {"key": "jobs/x/v1.zip", "sizeBytes": "44", "sha256": "1111111111111111111111111111111111111111111111111111111111111111"}}', NULL, '[]', NULL, 'STORE', 8, 0, NULL, 1795898335722019, 1795898335722019, 1795898336009959, 1795898336301165, NULL, NULL, NULL, 0, NULL, false, NULL, '{}', false, NULL, NULL);
INSERT INTO public.versions VALUES ('j-01m8hy3q3t003s61s31xjgyz4b', 1, 'RENDER', 'DONE', 1, 0, true, 'EXACT', 0, '', '{"prompt": "warm tape piano, sombre, seventy beats", "personaId": "nova", "seed": 7, "seconds": 8.0, "stems": true, "stemMode": "STEM_MODE_EXACT"}', '{"text": {"prompt": "warm tape piano, sombre, seventy beats"}, "seed": 7}', '{"bounce": {"key": "jobs/x/bounce.wav", "sizeBytes": "44", "sha256": "0000000000000000000000000000000000000000000000000000000000000000"}, "manifest": {"key": "jobs/x/v1.json", "sizeBytes": "2", "sha256": "2222222222222222222222222222222222222222222222222222222222222222"}, "zip": {"key": "jobs/x/v1.zip", "sizeBytes": "44", "sha256": "1111111111111111111111111111111111111111111111111111111111111111"}}', NULL, '[{"stage": "STAGE_DENOISE", "duration": "1.000000s", "attempt": 1}]', NULL, 'STORE', 8, 1, NULL, 1795898334330813, 1795898334330813, 1795898335319870, 1795898335700134, NULL, NULL, NULL, 0, NULL, false, NULL, '{}', false, 4, NULL);
INSERT INTO public.versions VALUES ('j-01m8hy3wqxdgrhxtqsx1wyqnn7', 1, 'RENDER', 'FAILED', 1, 0, true, 'EXACT', 0, '', '{"prompt": "", "personaId": "nova", "seed": 7, "seconds": 8.0, "stems": true, "stemMode": "STEM_MODE_EXACT"}', '{"text": {"prompt": ""}, "seed": 7}', '{"bounce": {"key": "jobs/x/bounce.wav", "sizeBytes": "44", "sha256": "0000000000000000000000000000000000000000000000000000000000000000"}, "manifest": {"key": "jobs/x/v1.json", "sizeBytes": "2", "sha256": "2222222222222222222222222222222222222222222222222222222222222222"}}', NULL, '[{"stage": "STAGE_DENOISE", "duration": "1.000000s", "attempt": 1}]', '{"code": 13, "message": "x"}', 'BOUNCE', 8, NULL, NULL, 1795898340093508, 1795898340093508, 1795898340236730, 1795898341623314, NULL, NULL, NULL, 0, NULL, false, NULL, '{}', true, 21, NULL);
INSERT INTO public.versions VALUES ('j-01m8hy3zgtfc3tvvn0j123jzjt', 1, 'RENDER', 'FAILED', 1, 0, true, 'EXACT', 0, '', '{"prompt": "warm tape piano, sombre, seventy beats", "personaId": "nova", "seed": 7, "seconds": 8.0, "stems": true, "stemMode": "STEM_MODE_EXACT"}', '{"text": {"prompt": "warm tape piano, sombre, seventy beats"}, "seed": 7}', '{}', NULL, '[]', '{"code": 9, "message": "the service died 3 times", "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "TOO_MANY_ATTEMPTS", "domain": "sonichaos.ai", "metadata": {"attempts": "3"}}]}', NULL, 8, NULL, NULL, 1795898342938026, 1795898342938026, 1795898343736158, 1795898344305520, NULL, NULL, NULL, 0, NULL, false, NULL, '{}', false, NULL, NULL);
INSERT INTO public.versions VALUES ('j-01m8hy410d68w8agtq8663rrpz', 1, 'RENDER', 'DONE', 1, 0, true, 'EXACT', 0, '', '{"prompt": "warm tape piano, sombre, seventy beats", "personaId": "nova", "seed": 7, "seconds": 8.0, "stems": true, "stemMode": "STEM_MODE_EXACT"}', '{"text": {"prompt": "warm tape piano, sombre, seventy beats"}, "seed": 7}', '{"bounce": {"key": "jobs/x/bounce.wav", "sizeBytes": "44", "sha256": "0000000000000000000000000000000000000000000000000000000000000000"}, "manifest": {"key": "jobs/x/v1.json", "sizeBytes": "2", "sha256": "2222222222222222222222222222222222222222222222222222222222222222"}}', NULL, '[{"stage": "STAGE_DENOISE", "duration": "1.000000s", "attempt": 1}]', NULL, 'BOUNCE', 8, 1, NULL, 1795898344461384, 1795898344461384, 1795898344988036, 1795898346539615, NULL, NULL, NULL, 0, NULL, false, NULL, '{}', false, 29, NULL);
INSERT INTO public.versions VALUES ('j-01m8hy43am3mmqrp9vjpmbg2y4', 1, 'RENDER', 'RUNNING', 2, 0, true, 'RAW', 0, '', '{"prompt": "warm tape piano, sombre, seventy beats", "personaId": "nova", "seed": 7, "seconds": 8.0, "stems": true, "stemMode": "STEM_MODE_RAW"}', '{"text": {"prompt": "warm tape piano, sombre, seventy beats"}, "seed": 7}', '{"bounce": {"key": "jobs/x/bounce.wav", "sizeBytes": "44", "sha256": "0000000000000000000000000000000000000000000000000000000000000000"}, "manifest": {"key": "jobs/x/v1.json", "sizeBytes": "2", "sha256": "2222222222222222222222222222222222222222222222222222222222222222"}, "kept": [{"key": "jobs/x/v1.json", "sizeBytes": "2", "sha256": "2222222222222222222222222222222222222222222222222222222222222222"}]}', NULL, '[{"stage": "STAGE_DENOISE", "duration": "1.000000s", "attempt": 1}]', NULL, 'BOUNCE', 8, 1, NULL, 1795898346836841, 1795898349315837, 1795898350634726, NULL, '133d6755dc46725cdb44ae48b454e786', '22729-09c8980758641c92', 30, 0, NULL, false, '{"code": 14, "message": "separation_service does not answer"}', '{"SEPARATION_UNAVAILABLE": {"waitedS": 12.5, "refusals": 4, "stage": "HANDOFF"}}', false, 34, 38);
INSERT INTO public.versions VALUES ('j-01m8hy484rrfgf9rjqq3tf5e8b', 1, 'RENDER', 'CANCELLING', 1, 0, true, 'EXACT', 0, '', '{"prompt": "warm tape piano, sombre, seventy beats", "personaId": "nova", "seed": 7, "seconds": 8.0, "stems": true, "stemMode": "STEM_MODE_EXACT"}', '{"text": {"prompt": "warm tape piano, sombre, seventy beats"}, "seed": 7}', '{}', NULL, '[]', NULL, NULL, 8, NULL, NULL, 1795898351768396, 1795898351768396, 1795898352726294, NULL, 'b3f31d6acb66520213b0c4b2bde2f089', '22729-09c8980758641c92', 30, 0, NULL, false, NULL, '{}', false, NULL, NULL);
INSERT INTO public.versions VALUES ('j-01m8hy4ecr358jztxfznnkzy85', 1, 'SEPARATION', 'QUEUED', 0, 0, true, 'EXACT', 0, '', '{"prompt": "warm tape piano, sombre, seventy beats", "personaId": "", "seed": 7, "seconds": 8.0, "stems": true, "stemMode": "STEM_MODE_EXACT"}', '{"text": {"prompt": "warm tape piano, sombre, seventy beats"}, "seed": 7}', '{}', NULL, '[]', NULL, NULL, 8, NULL, NULL, 1795898358168204, 1795898358168204, NULL, NULL, NULL, NULL, NULL, 0, NULL, false, NULL, '{}', false, NULL, NULL);
INSERT INTO public.versions VALUES ('j-01m8hy4awvj1xf2h6vwcmw784w', 1, 'RENDER', 'RUNNING', 1, 0, true, 'EXACT', 0, '', '{"prompt": "warm tape piano, sombre, seventy beats", "personaId": "nova", "seed": 7, "seconds": 8.0, "stems": true, "stemMode": "STEM_MODE_EXACT"}', '{"text": {"prompt": "warm tape piano, sombre, seventy beats"}, "seed": 7}', '{}', NULL, '[]', NULL, NULL, 8, NULL, 4949467200000000, 1795898354587058, 1795898354587058, 1795898355756812, NULL, 'cf23bc5b546da0a006f7eb89775d01d6', '22729-09c8980758641c92', 30, 0, NULL, false, NULL, '{}', false, 44, NULL);
INSERT INTO public.versions VALUES ('j-01m8hy4dbwhkf566014rz1fnm7', 1, 'RENDER', 'QUEUED', 0, 0, true, 'EXACT', 0, '', '{"prompt": "warm tape piano, sombre, seventy beats", "personaId": "nova", "seed": 7, "seconds": 8.0, "stems": true, "stemMode": "STEM_MODE_EXACT"}', '{"text": {"prompt": "warm tape piano, sombre, seventy beats"}, "seed": 7}', '{}', NULL, '[]', NULL, NULL, 8, NULL, NULL, 1795898357116939, 1795898357116939, NULL, NULL, NULL, NULL, NULL, 0, NULL, false, NULL, '{}', false, NULL, NULL);


--
-- Name: events_position_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.events_position_seq', 46, true);


--
-- Name: alembic_version alembic_version_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkey PRIMARY KEY (version_num);


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
-- Name: versions versions_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.versions
    ADD CONSTRAINT versions_pkey PRIMARY KEY (job_id, number);


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

CREATE INDEX versions_waiting ON public.versions USING btree (owner, state, queued_us, job_id, number);


--
-- Name: audit_rows audit_rows_keep; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER audit_rows_keep BEFORE UPDATE ON public.audit_rows FOR EACH ROW WHEN (((new.tenant IS DISTINCT FROM old.tenant) OR (new.sequence IS DISTINCT FROM old.sequence) OR (new.job_id IS DISTINCT FROM old.job_id) OR (new.version IS DISTINCT FROM old.version) OR (new.kind IS DISTINCT FROM old.kind) OR (new.body_json IS DISTINCT FROM old.body_json) OR (new.previous_digest IS DISTINCT FROM old.previous_digest) OR (new.digest IS DISTINCT FROM old.digest) OR (new.create_us IS DISTINCT FROM old.create_us) OR (new.prompt IS NOT NULL) OR (new.salt IS NOT NULL))) EXECUTE FUNCTION public.audit_rows_refuse();


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
-- PostgreSQL database dump complete
--

