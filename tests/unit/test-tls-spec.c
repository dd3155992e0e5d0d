/* SPDX-License-Identifier: MIT */
/*
 * From options to a specification: each option does what it says, or is refused with its name. The
 * configuration file of OpenSSL, which says something else everywhere, changes none of that.
 */
#include "tls_bench.h"

#include <unistd.h>

#include "transport/trust.h"

static struct tls_bench bench;

/* ---- files ---- */

static char folder[] = "/tmp/tcpm-spec-XXXXXX";
static char hashed[16]; /* the name of a file with the root */

/* The path of a file in the folder of the test, until the next call. */
static const char *path_of(const char *name)
{
    static char path[64];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static const char *write_file(const char *name, const char *text)
{
    const char *path = path_of(name);
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
    return path;
}

static const char configuration[] = "openssl_conf = all\n"
                                    "[all]\nssl_conf = modules\n"
                                    "[modules]\nsystem_default = defaults\n"
                                    "[defaults]\nMinProtocol = TLSv1.3\n"
                                    "CipherString = DEFAULT@SECLEVEL=0\n"
                                    "Options = UnsafeLegacyServerConnect\n";

/* ---- refused options ---- */

static char long_protocol[300];

static const struct {
    struct tcpm_tls_options options;
    int code;
    const char *message;
} refused[] = {
    {{.ca = "/nowhere/ca.pem"}, -ENOENT, "ca: /nowhere/ca.pem: No such file or directory"},
    {{.ca = "/"}, -EINVAL, "ca: /: has no certificate"},
    {{.ca = "/dev/null"}, -EINVAL, "ca: /dev/null: has no certificate"},
    {{.ca = "-----BEGIN NOTHING"}, -EINVAL, "ca: has no certificate"},
    {{.ca_path = "/nowhere\n"}, -ENOENT, "ca_path: /nowhere?: No such file or directory"},
    {{.ca_path = "/dev/null"}, -ENOTDIR, "ca_path: /dev/null: Not a directory"},
    {{.cert = "/nowhere/c.pem"}, -ENOENT, "cert: /nowhere/c.pem: No such file or directory"},
    {{.cert = "/dev/null"}, -EINVAL, "cert: /dev/null: has no certificate"},
    {{.key = "-----BEGIN PRIVATE KEY"}, -EINVAL, "key: needs cert"},
    {{.key_password = "secret"}, -EINVAL, "key_password: needs cert"},
    {{.alpn = ""}, -EINVAL, "alpn: has a protocol without a name"},
    {{.alpn = "h2,,x"}, -EINVAL, "alpn: has a protocol without a name"},
    {{.alpn = "h2,"}, -EINVAL, "alpn: has a protocol without a name"},
    {{.alpn = long_protocol}, -EINVAL, "alpn: has a protocol of more than 255 bytes"},
    {{.ciphers = "nonsense"}, -EINVAL, "ciphers: no cipher match"},
    {{.ciphersuites = "nonsense"}, -EINVAL, "ciphersuites: no cipher match"},
    {{.fingerprint = ""}, -EINVAL, "fingerprint: is not 64 hexadecimal digits"},
    {{.fingerprint = "00:11"}, -EINVAL, "fingerprint: is not 64 hexadecimal digits"},
    {{.fingerprint = ":0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"},
     -EINVAL,
     "fingerprint: is not 64 hexadecimal digits"},
    {{.fingerprint = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef:"},
     -EINVAL,
     "fingerprint: is not 64 hexadecimal digits"},
    {{.fingerprint = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdeg"},
     -EINVAL,
     "fingerprint: is not 64 hexadecimal digits"},
    {{.min_version = 0x0300}, -EINVAL, "min_version: is no version of TLS"},
    {{.max_version = 0x0305}, -EINVAL, "max_version: is no version of TLS"},
    {{.max_version = 0x0302}, -EINVAL, "max_version: is below min_version"},
};

static void assert_refused(struct tcpm_tls_options options, int code, const char *message)
{
    struct tcpm_tls *spec = NULL;

    options.size = sizeof options;
    assert_int_equal(tcpm__tls_spec_make(bench.shared, &options, &spec, &bench.message), code);
    assert_string_equal(bench.message, message);
    assert_null(spec);
}

static void test_what_cannot_be_is_refused_by_name(void **state)
{
    (void) state;
    memset(long_protocol, 'x', 256);
    tls_bench_open(&bench);
    for (size_t i = 0; i < COUNT(refused); i++)
        assert_refused(refused[i].options, refused[i].code, refused[i].message);
    tls_bench_close(&bench);
}

/* ---- certificates of our own ---- */

/* The key of a name, encrypted by "secret". */
static char *encrypt_key(const char *name)
{
    BIO *from = BIO_new_mem_buf(authority_named(authority, name).key, -1);
    BIO *to = BIO_new(BIO_s_mem());
    EVP_PKEY *key = PEM_read_bio_PrivateKey(from, NULL, NULL, NULL);
    char *text = calloc(1, 8192);

    assert_int_equal(PEM_write_bio_PrivateKey(to, key, EVP_aes_256_cbc(),
                                              (const unsigned char *) "secret", 6, NULL, NULL),
                     1);
    assert_true(BIO_read(to, text, 8191) > 0);
    EVP_PKEY_free(key);
    BIO_free(from);
    BIO_free(to);
    return text;
}

/* The name that a server sees that wants certificates; "": it sees none. */
static void show_to_server(struct tcpm_tls_options options, char *ret, size_t size)
{
    SSL_CTX *server = server_of(authority_named(authority, "good"));
    struct tcpm_tls *spec;
    struct meeting meeting;

    options.ca = authority_root(authority);
    spec = spec_of(&bench, options);
    BIO *root = BIO_new_mem_buf(options.ca, -1);
    X509 *trusted = PEM_read_bio_X509(root, NULL, NULL, NULL), *shown;

    X509_STORE_add_cert(SSL_CTX_get_cert_store(server), trusted);
    SSL_CTX_set_verify(server, SSL_VERIFY_PEER, NULL);
    meet(&meeting, spec, server, "peer.test", SOME_PORT);
    assert_true(meeting.is_open);
    shown = SSL_get0_peer_certificate(meeting.server);
    ret[0] = '\0';
    if (shown != NULL) {
        assert_int_equal(SSL_get_verify_result(meeting.server), X509_V_OK);
        X509_NAME_get_text_by_NID(X509_get_subject_name(shown), NID_commonName, ret, (int) size);
    }
    part(&meeting);
    tcpm__tls_spec_drop(spec);
    X509_free(trusted);
    BIO_free(root);
    SSL_CTX_free(server);
}

static void assert_shows(struct tcpm_tls_options options, const char *expected)
{
    char name[64];

    show_to_server(options, name, sizeof name);
    assert_string_equal(name, expected);
}

static void test_our_certificate_is_shown_to_a_server_that_wants_it(void **state)
{
    struct authority_pair client = authority_named(authority, "client");
    char *encrypted = encrypt_key("client"), both[16384], cert[64], key[64];

    (void) state;
    snprintf(both, sizeof both, "%s%s", client.chain, client.key);
    snprintf(cert, sizeof cert, "%s", write_file("cert.pem", client.chain));
    snprintf(key, sizeof key, "%s", write_file("key.pem", encrypted));
    tls_bench_open(&bench);
    assert_shows((struct tcpm_tls_options){.cert = NULL}, "");
    assert_shows((struct tcpm_tls_options){.cert = client.chain, .key = client.key}, "the client");
    assert_shows((struct tcpm_tls_options){.cert = both}, "the client");
    assert_shows(
        (struct tcpm_tls_options){.cert = client.chain, .key = encrypted, .key_password = "secret"},
        "the client");
    assert_shows((struct tcpm_tls_options){.cert = cert, .key = key, .key_password = "secret"},
                 "the client");
    tls_bench_close(&bench);
    free(encrypted);
}

static void test_a_key_that_does_not_fit_or_open_is_refused(void **state)
{
    struct authority_pair client = authority_named(authority, "client");
    struct authority_pair other = authority_named(authority, "good");
    struct authority_pair weak = authority_named(authority, "rsa-1024");
    char *encrypted = encrypt_key("client"), message[128], garbage[16384];
    const char *path = write_file("key.pem", encrypted);

    (void) state;
    tls_bench_open(&bench);
    assert_refused((struct tcpm_tls_options){.cert = client.chain, .key = other.key}, -EINVAL,
                   "key: does not fit cert");
    assert_refused((struct tcpm_tls_options){.cert = client.chain}, -EINVAL,
                   "cert: has no key that can be read");
    assert_refused((struct tcpm_tls_options){.cert = client.chain, .key = "/nowhere/key"}, -ENOENT,
                   "key: /nowhere/key: No such file or directory");
    assert_refused((struct tcpm_tls_options){.cert = weak.chain, .key = weak.key}, -EINVAL,
                   "cert: ee key too small");
    assert_refused((struct tcpm_tls_options){.cert = client.chain, .key = encrypted}, -EINVAL,
                   "key: is encrypted, and there is no key_password");
    snprintf(message, sizeof message, "key: %s: key_password does not open it", path);
    assert_refused(
        (struct tcpm_tls_options){.cert = client.chain, .key = path, .key_password = "wrong"},
        -EINVAL, message);
    snprintf(garbage, sizeof garbage, "%s-----BEGIN CERTIFICATE-----\nAAAA\n", client.chain);
    assert_refused((struct tcpm_tls_options){.cert = garbage, .key = client.key}, -EINVAL,
                   "cert: bad end line");
    tls_bench_close(&bench);
    free(encrypted);
}

/* ---- versions and strictness ---- */

/* The version that is spoken with a server of this one; 0: none. */
static int speak(struct tcpm_tls_options options, const char *certificate, int least, int most)
{
    SSL_CTX *server = server_of(authority_named(authority, certificate));
    struct meeting meeting;

    SSL_CTX_set_min_proto_version(server, least);
    SSL_CTX_set_max_proto_version(server, most);
    options.ca = authority_root(authority);
    struct tcpm_tls *spec = spec_of(&bench, options);

    meet(&meeting, spec, server, "peer.test", SOME_PORT);
    int version = meeting.is_open ? SSL_version(meeting.client) : 0;

    part(&meeting);
    tcpm__tls_spec_drop(spec);
    SSL_CTX_free(server);
    return version;
}

static void test_the_configuration_file_is_read(void **state)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());

    (void) state;
    assert_int_equal(SSL_CTX_get_min_proto_version(context), TLS1_3_VERSION);
    assert_int_equal(SSL_CTX_get_security_level(context), 0);
    assert_true(SSL_CTX_get_options(context) & SSL_OP_LEGACY_SERVER_CONNECT);
    SSL_CTX_free(context);
}

static void test_versions_are_those_of_the_options(void **state)
{
    const struct tcpm_tls_options none = {.size = 0}, old = {.min_version = 0x0301};
    const struct tcpm_tls_options new = {.min_version = 0x0304}, not_new = {.max_version = 0x0303};

    (void) state;
    tls_bench_open(&bench);
    assert_int_equal(speak(none, "good", 0, 0), TLS1_3_VERSION);
    assert_int_equal(speak(none, "good", 0, TLS1_2_VERSION), TLS1_2_VERSION);
    assert_int_equal(speak(none, "good", 0, TLS1_1_VERSION), 0);
    assert_int_equal(speak(new, "good", 0, TLS1_2_VERSION), 0);
    assert_int_equal(speak(not_new, "good", 0, 0), TLS1_2_VERSION);
    assert_int_equal(speak(not_new, "good", TLS1_3_VERSION, 0), 0);
    assert_int_equal(speak(old, "good", 0, 0), TLS1_3_VERSION);
    assert_int_equal(speak(old, "good", 0, TLS1_1_VERSION), TLS1_1_VERSION);
    assert_int_equal(speak(old, "good", 0, TLS1_VERSION), TLS1_VERSION);
    assert_int_equal(speak(old, "rsa", 0, TLS1_VERSION), TLS1_VERSION);
    tls_bench_close(&bench);
}

static void test_old_versions_alone_allow_no_weak_certificates(void **state)
{
    const struct tcpm_tls_options old = {.min_version = 0x0301};
    const struct tcpm_tls_options legacy = {.min_version = 0x0301, .legacy = 1};
    const struct tcpm_tls_options legacy_alone = {.legacy = 1};

    (void) state;
    tls_bench_open(&bench);
    assert_int_equal(speak(old, "rsa-1024", 0, TLS1_VERSION), 0);
    assert_int_equal(speak(old, "sha-1", 0, TLS1_VERSION), 0);
    assert_int_equal(speak(legacy, "rsa-1024", 0, TLS1_VERSION), TLS1_VERSION);
    assert_int_equal(speak(legacy, "sha-1", 0, TLS1_VERSION), TLS1_VERSION);
    assert_int_equal(speak(legacy_alone, "rsa-1024", 0, 0), 0);
    tls_bench_close(&bench);
}

static void test_only_legacy_speaks_to_servers_without_secure_renegotiation(void **state)
{
    static const uint64_t legacy = SSL_OP_LEGACY_SERVER_CONNECT;

    (void) state;
    tls_bench_open(&bench);
    struct tcpm_tls *strict = spec_of(&bench, (struct tcpm_tls_options){.size = 0});
    struct tcpm_tls *loose = spec_of(&bench, (struct tcpm_tls_options){.legacy = 1});

    assert_int_equal(SSL_CTX_get_options(strict->context) & legacy, 0);
    assert_int_equal(SSL_CTX_get_options(loose->context) & legacy, legacy);
    assert_true(SSL_CTX_get_options(strict->context) & SSL_OP_NO_RENEGOTIATION);
    assert_true(SSL_CTX_get_options(loose->context) & SSL_OP_NO_RENEGOTIATION);
    tcpm__tls_spec_drop(strict);
    tcpm__tls_spec_drop(loose);
    tls_bench_close(&bench);
}

static void test_ciphers_are_those_of_the_options(void **state)
{
    const struct tcpm_tls_options one = {.ciphers = "ECDHE-ECDSA-CHACHA20-POLY1305",
                                         .ciphersuites = "TLS_CHACHA20_POLY1305_SHA256"};

    (void) state;
    tls_bench_open(&bench);
    struct tcpm_tls *spec = spec_of(&bench, one);
    STACK_OF(SSL_CIPHER) *ciphers = SSL_CTX_get_ciphers(spec->context);

    assert_int_equal(sk_SSL_CIPHER_num(ciphers), 2);
    assert_string_equal(SSL_CIPHER_get_name(sk_SSL_CIPHER_value(ciphers, 0)), one.ciphersuites);
    assert_string_equal(SSL_CIPHER_get_name(sk_SSL_CIPHER_value(ciphers, 1)), one.ciphers);
    tcpm__tls_spec_drop(spec);
    tls_bench_close(&bench);
}

/* ---- what a server hears of us ---- */

struct heard {
    char name[64];
    unsigned char protocols[64];
    unsigned length;
};

static int on_server_name(SSL *ssl, int *alert, void *user)
{
    struct heard *heard = user;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

    (void) alert;
    snprintf(heard->name, sizeof heard->name, "%s", name != NULL ? name : "");
    return SSL_TLSEXT_ERR_OK;
}

static int on_protocols(SSL *ssl, const unsigned char **out, unsigned char *length,
                        const unsigned char *in, unsigned in_length, void *user)
{
    struct heard *heard = user;

    (void) ssl;
    assert_true(in_length <= sizeof heard->protocols);
    memcpy(heard->protocols, in, in_length);
    heard->length = in_length;
    *out = in + 1; /* the first one */
    *length = in[0];
    return SSL_TLSEXT_ERR_OK;
}

static struct heard hear(struct tcpm_tls_options options, const char *name)
{
    SSL_CTX *server = server_of(authority_named(authority, "good"));
    struct heard heard = {.name = "?"};
    struct meeting meeting;

    SSL_CTX_set_tlsext_servername_callback(server, on_server_name);
    SSL_CTX_set_tlsext_servername_arg(server, &heard);
    SSL_CTX_set_alpn_select_cb(server, on_protocols, &heard);
    options.ca = authority_root(authority);
    struct tcpm_tls *spec = spec_of(&bench, options);

    meet(&meeting, spec, server, name, SOME_PORT);
    assert_int_equal(meeting.is_open, strcmp(name, "other.test") != 0);
    part(&meeting);
    tcpm__tls_spec_drop(spec);
    SSL_CTX_free(server);
    return heard;
}

static void test_the_name_is_sent_but_no_address(void **state)
{
    const struct tcpm_tls_options none = {.size = 0}, no_sni = {.no_sni = 1};

    (void) state;
    tls_bench_open(&bench);
    assert_string_equal(hear(none, "peer.test").name, "peer.test");
    assert_string_equal(hear(none, "127.0.0.1").name, "");
    assert_string_equal(hear(none, "::1").name, "");
    assert_string_equal(hear(no_sni, "peer.test").name, "");
    assert_string_equal(hear(no_sni, "other.test").name, "");
    tls_bench_close(&bench);
}

static void test_protocols_are_offered_in_their_order(void **state)
{
    static const unsigned char wire[] = "\2h2\10http/1.1";

    (void) state;
    tls_bench_open(&bench);
    struct heard heard = hear((struct tcpm_tls_options){.alpn = "h2,http/1.1"}, "peer.test");

    assert_int_equal(heard.length, sizeof wire - 1);
    assert_memory_equal(heard.protocols, wire, sizeof wire - 1);
    assert_int_equal(hear((struct tcpm_tls_options){.size = 0}, "peer.test").length, 0);
    tls_bench_close(&bench);
}

static void on_key_log(const char *line, void *user)
{
    assert_non_null(strchr(line, ' '));
    assert_null(strchr(line, '\n'));
    ++*(int *) user;
}

static void test_secrets_are_logged_where_that_is_wanted(void **state)
{
    struct tls_bench logging;
    int lines = 0;

    (void) state;
    scarce_init(&logging.scarce);
    tcpm__tls_shared_open(&logging.scarce.memory, on_key_log, &lines, &logging.shared);
    SSL_CTX *server = server_of(authority_named(authority, "good"));
    struct tcpm_tls *spec =
        spec_of(&logging, (struct tcpm_tls_options){.ca = authority_root(authority)});
    struct meeting meeting;

    meet(&meeting, spec, server, "peer.test", SOME_PORT);
    assert_true(lines >= 4);
    part(&meeting);
    tcpm__tls_spec_drop(spec);
    SSL_CTX_free(server);
    tls_bench_close(&logging);
}

/* ---- what is shared ---- */

static void test_specifications_without_options_are_one(void **state)
{
    struct tcpm_tls *one, *two, *other;

    (void) state;
    tls_bench_open(&bench);
    assert_int_equal(tcpm__tls_spec_make(bench.shared, NULL, &one, &bench.message), 0);
    two = spec_of(&bench, (struct tcpm_tls_options){.size = 0});
    other = spec_of(&bench, (struct tcpm_tls_options){.no_verify = 1});
    assert_ptr_equal(one, two);
    assert_ptr_not_equal(one, other);
    assert_ptr_equal(one->trust, other->trust);
    assert_false(one->rules.no_verify);
    tcpm__tls_spec_drop(one);
    tcpm__tls_spec_drop(tcpm__tls_spec_hold(two));
    tcpm__tls_spec_drop(two);
    one = spec_of(&bench, (struct tcpm_tls_options){.size = 0});
    assert_ptr_equal(one->trust, other->trust);
    tcpm__tls_spec_drop(one);
    tcpm__tls_spec_drop(other);
    tls_bench_close(&bench);
}

/* Writes the root as openssl-rehash(1) would. */
static void fill_folder(void)
{
    BIO *bio = BIO_new_mem_buf(authority_root(authority), -1);
    X509 *root = PEM_read_bio_X509(bio, NULL, NULL, NULL);

    snprintf(hashed, sizeof hashed, "%08lx.0", X509_subject_name_hash(root));
    write_file(hashed, authority_root(authority));
    X509_free(root);
    BIO_free(bio);
}

/* Whether a server of ours is trusted. */
static bool is_trusted(struct tcpm_tls_options options)
{
    SSL_CTX *server = server_of(authority_named(authority, "good"));
    struct tcpm_tls *spec = spec_of(&bench, options);
    struct meeting meeting;

    meet(&meeting, spec, server, "peer.test", SOME_PORT);
    bool ret = meeting.is_open;

    assert_null(meeting.peer.verdict.rules->no_authorities);
    part(&meeting);
    tcpm__tls_spec_drop(spec);
    SSL_CTX_free(server);
    return ret;
}

static void test_authorities_may_lie_in_a_folder(void **state)
{
    struct tcpm_tls_options ours = {.ca_path = folder}, others = {.ca_path = "/"};

    (void) state;
    fill_folder();
    tls_bench_open(&bench);
    assert_true(is_trusted(ours));
    assert_false(is_trusted(others));
    setenv("SSL_CERT_FILE", "/nowhere", 1);
    setenv("SSL_CERT_DIR", folder, 1);
    assert_true(is_trusted((struct tcpm_tls_options){.size = 0}));
    unsetenv("SSL_CERT_FILE");
    unsetenv("SSL_CERT_DIR");
    assert_false(is_trusted((struct tcpm_tls_options){.size = 0}));
    tls_bench_close(&bench);
}

static void test_a_file_that_has_changed_is_read_again(void **state)
{
    struct tcpm_tls_options options = {.ca = write_file("ca.pem", authority_root(authority))};
    const char *chain = authority_named(authority, "good").chain;

    (void) state;
    tls_bench_open(&bench);
    struct tcpm_tls *one = spec_of(&bench, options), *two = spec_of(&bench, options);

    assert_ptr_not_equal(one, two);
    assert_ptr_equal(one->trust, two->trust);
    tcpm__tls_spec_drop(two);
    write_file("ca.pem", chain);
    two = spec_of(&bench, options);
    assert_ptr_not_equal(one->trust, two->trust);
    tcpm__tls_spec_drop(one);
    tcpm__tls_spec_drop(two);
    tls_bench_close(&bench);
}

/* ---- without memory ---- */

static void test_each_allocation_may_fail(void **state)
{
    struct tcpm_tls_options options = {
        .size = sizeof options, .ca = authority_root(authority), .ca_path = folder, .alpn = "h2"};
    struct tcpm__tls_shared *shared;
    struct scarce scarce;
    long left = 0;
    int code;

    (void) state;
    do {
        struct tcpm_tls *spec, *plain;
        const char *message;

        scarce_init(&scarce);
        scarce.left = left++;
        code = tcpm__tls_shared_open(&scarce.memory, NULL, NULL, &shared);
        if (code == 0) {
            code = tcpm__tls_spec_make(shared, &options, &spec, &message);
            if (code == 0) {
                code = tcpm__tls_spec_make(shared, NULL, &plain, &message);
                if (code == 0)
                    tcpm__tls_spec_drop(plain);
                tcpm__tls_spec_drop(spec);
            }
            if (code < 0)
                assert_string_equal(message, tcpm_error_text(-ENOMEM));
            tcpm__tls_shared_close(shared);
        }
        assert_true(code == 0 || code == -ENOMEM);
        assert_int_equal(scarce.blocks, 0);
    } while (code < 0);
    assert_int_equal(scarce.calls, left - 1);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_the_configuration_file_is_read),
    cmocka_unit_test(test_what_cannot_be_is_refused_by_name),
    cmocka_unit_test(test_our_certificate_is_shown_to_a_server_that_wants_it),
    cmocka_unit_test(test_a_key_that_does_not_fit_or_open_is_refused),
    cmocka_unit_test(test_versions_are_those_of_the_options),
    cmocka_unit_test(test_old_versions_alone_allow_no_weak_certificates),
    cmocka_unit_test(test_only_legacy_speaks_to_servers_without_secure_renegotiation),
    cmocka_unit_test(test_ciphers_are_those_of_the_options),
    cmocka_unit_test(test_the_name_is_sent_but_no_address),
    cmocka_unit_test(test_protocols_are_offered_in_their_order),
    cmocka_unit_test(test_secrets_are_logged_where_that_is_wanted),
    cmocka_unit_test(test_specifications_without_options_are_one),
    cmocka_unit_test(test_authorities_may_lie_in_a_folder),
    cmocka_unit_test(test_a_file_that_has_changed_is_read_again),
    cmocka_unit_test(test_each_allocation_may_fail),
};

static void remove_files(void)
{
    const char *const names[] = {"openssl.cnf", "cert.pem", "key.pem", "ca.pem", hashed};

    for (size_t i = 0; i < COUNT(names); i++)
        unlink(path_of(names[i]));
    rmdir(folder);
}

int main(void)
{
    int failed;

    cmocka_set_message_output(CM_OUTPUT_TAP);
    if (mkdtemp(folder) == NULL)
        return 1;
    setenv("OPENSSL_CONF", write_file("openssl.cnf", configuration), 1);
    failed = cmocka_run_group_tests(tests, create_authority, free_authority);
    remove_files();
    return failed;
}
