/* SPDX-License-Identifier: MIT */
/*
 * The range of ports as Linux tells it. Called by a socket whose attempt has succeeded.
 */
#include "transport/ports.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* The text of the range, two decimals. Elsewhere than on Linux sysctl tells both numbers: of
   net.inet.ip.portrange first and last, or hifirst and hilast. */
static void read_text(char text[], size_t size)
{
    int fd = open("/proc/sys/net/ipv4/ip_local_port_range", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? 0 : read(fd, text, size - 1);

    if (fd >= 0)
        close(fd);
    text[length > 0 ? length : 0] = '\0';
}

/* Where the range cannot be read every port counts as inside. */
void tcpm__ports_refresh(struct tcpm__ports *ports, uint64_t now_ms)
{
    char text[32], *end;

    read_text(text, sizeof text);

    unsigned long first = strtoul(text, &end, 10), last = strtoul(end, NULL, 10);

    if (first == 0 || first > last || last > UINT16_MAX) {
        first = 1;
        last = UINT16_MAX;
    }
    *ports = (struct tcpm__ports){(uint16_t) first, (uint16_t) last, now_ms};
}
