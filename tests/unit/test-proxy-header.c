/* SPDX-License-Identifier: MIT */
/* Headers of the PROXY protocol, byte for byte as its specification has them. */
#include "addresses.h"

#include "transport/proxy_header.h"

static const char signature[] = "\r\n\r\n\0\r\nQUIT\n";

/* Asserts the header of a connection between two addresses, each as text, with its port. */
static void check(int version, const char *from, unsigned from_port, const char *to,
                  unsigned to_port, const char *expected, size_t length)
{
    union tcpm__address source = address_with_port(from, from_port);
    union tcpm__address destination = address_with_port(to, to_port);
    char header[TCPM__PROXY_HEADER_SIZE];

    assert_int_equal(tcpm__proxy_header_write(version, &source, &destination, header), length);
    assert_memory_equal(header, expected, length);
}

static void check_line(const char *from, unsigned from_port, const char *to, unsigned to_port,
                       const char *expected)
{
    check(1, from, from_port, to, to_port, expected, strlen(expected));
}

static void test_P31_version_1(void **state)
{
    (void) state;
    check_line("192.168.0.1", 56324, "192.168.0.11", 443,
               "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n");
    check_line("255.255.255.255", 65535, "255.255.255.255", 65535,
               "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n");
    check_line("::1", 1, "2001:db8::1", 80, "PROXY TCP6 ::1 2001:db8::1 1 80\r\n");
    check_line("fe80::1%1", 1, "fe80::2%1", 80, "PROXY TCP6 fe80::1 fe80::2 1 80\r\n");
    check_line("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535,
               "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535,
               "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
               "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n");
}

static void test_P31_version_2(void **state)
{
    static const char inet[] = "\r\n\r\n\0\r\nQUIT\n"
                               "\x21\x11\0\x0c\xc0\xa8\0\1\xc0\xa8\0\x0b\xdc\x04\1\xbb";
    static const char inet6[] = "\r\n\r\n\0\r\nQUIT\n"
                                "\x21\x21\0\x24"
                                "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"
                                "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
                                "\0\1\0\x50";

    (void) state;
    check(2, "192.168.0.1", 56324, "192.168.0.11", 443, inet, sizeof inet - 1);
    check(2, "::1", 1, "2001:db8::1", 80, inet6, sizeof inet6 - 1);
    assert_int_equal(sizeof inet - 1, 28);
    assert_int_equal(sizeof inet6 - 1, 52);
}

static void check_unknown(const union tcpm__address *source, const union tcpm__address *destination)
{
    char header[TCPM__PROXY_HEADER_SIZE];

    assert_int_equal(tcpm__proxy_header_write(1, source, destination, header), 15);
    assert_memory_equal(header, "PROXY UNKNOWN\r\n", 15);
    assert_int_equal(tcpm__proxy_header_write(2, source, destination, header), 16);
    assert_memory_equal(header, signature, 12);
    assert_memory_equal(header + 12, "\x20\0\0\0", 4);
}

static void test_P31_unknown_and_local(void **state)
{
    union tcpm__address inet = address_with_port("10.0.0.1", 1);
    union tcpm__address inet6 = address_with_port("::1", 1);
    union tcpm__address none = {.any = {.sa_family = AF_UNSPEC}};

    (void) state;
    check_unknown(NULL, NULL);
    check_unknown(NULL, &inet);
    check_unknown(&inet, NULL);
    check_unknown(&inet, &inet6);
    check_unknown(&inet6, &inet);
    check_unknown(&none, &none);
    check_unknown(&none, &inet);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_P31_version_1),
    cmocka_unit_test(test_P31_version_2),
    cmocka_unit_test(test_P31_unknown_and_local),
};

RUN_TESTS(tests)
