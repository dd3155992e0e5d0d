/* SPDX-License-Identifier: MIT */
/*
 * Every errno of Linux with its text in English, in the words of the GNU C library. A file that
 * includes this one defines TCPM__ERRNO(NAME, text) before; this file undefines the macro. A number
 * stands here once: base/error.c has the second names of some numbers.
 *
 * The first part is what POSIX requires of every system. Names of the second part are skipped where
 * the system has none of them.
 */
TCPM__ERRNO(EPERM, "Operation not permitted")
TCPM__ERRNO(ENOENT, "No such file or directory")
TCPM__ERRNO(ESRCH, "No such process")
TCPM__ERRNO(EINTR, "Interrupted system call")
TCPM__ERRNO(EIO, "Input/output error")
TCPM__ERRNO(ENXIO, "No such device or address")
TCPM__ERRNO(E2BIG, "Argument list too long")
TCPM__ERRNO(ENOEXEC, "Exec format error")
TCPM__ERRNO(EBADF, "Bad file descriptor")
TCPM__ERRNO(ECHILD, "No child processes")
TCPM__ERRNO(EAGAIN, "Resource temporarily unavailable")
TCPM__ERRNO(ENOMEM, "Cannot allocate memory")
TCPM__ERRNO(EACCES, "Permission denied")
TCPM__ERRNO(EFAULT, "Bad address")
TCPM__ERRNO(EBUSY, "Device or resource busy")
TCPM__ERRNO(EEXIST, "File exists")
TCPM__ERRNO(EXDEV, "Invalid cross-device link")
TCPM__ERRNO(ENODEV, "No such device")
TCPM__ERRNO(ENOTDIR, "Not a directory")
TCPM__ERRNO(EISDIR, "Is a directory")
TCPM__ERRNO(EINVAL, "Invalid argument")
TCPM__ERRNO(ENFILE, "Too many open files in system")
TCPM__ERRNO(EMFILE, "Too many open files")
TCPM__ERRNO(ENOTTY, "Inappropriate ioctl for device")
TCPM__ERRNO(ETXTBSY, "Text file busy")
TCPM__ERRNO(EFBIG, "File too large")
TCPM__ERRNO(ENOSPC, "No space left on device")
TCPM__ERRNO(ESPIPE, "Illegal seek")
TCPM__ERRNO(EROFS, "Read-only file system")
TCPM__ERRNO(EMLINK, "Too many links")
TCPM__ERRNO(EPIPE, "Broken pipe")
TCPM__ERRNO(EDOM, "Numerical argument out of domain")
TCPM__ERRNO(ERANGE, "Numerical result out of range")
TCPM__ERRNO(EDEADLK, "Resource deadlock avoided")
TCPM__ERRNO(ENAMETOOLONG, "File name too long")
TCPM__ERRNO(ENOLCK, "No locks available")
TCPM__ERRNO(ENOSYS, "Function not implemented")
TCPM__ERRNO(ENOTEMPTY, "Directory not empty")
TCPM__ERRNO(ELOOP, "Too many levels of symbolic links")
TCPM__ERRNO(ENOMSG, "No message of desired type")
TCPM__ERRNO(EIDRM, "Identifier removed")
TCPM__ERRNO(EPROTO, "Protocol error")
TCPM__ERRNO(EBADMSG, "Bad message")
TCPM__ERRNO(EOVERFLOW, "Value too large for defined data type")
TCPM__ERRNO(EILSEQ, "Invalid or incomplete multibyte or wide character")
TCPM__ERRNO(ENOTSOCK, "Socket operation on non-socket")
TCPM__ERRNO(EDESTADDRREQ, "Destination address required")
TCPM__ERRNO(EMSGSIZE, "Message too long")
TCPM__ERRNO(EPROTOTYPE, "Protocol wrong type for socket")
TCPM__ERRNO(ENOPROTOOPT, "Protocol not available")
TCPM__ERRNO(EPROTONOSUPPORT, "Protocol not supported")
TCPM__ERRNO(EOPNOTSUPP, "Operation not supported")
TCPM__ERRNO(EAFNOSUPPORT, "Address family not supported by protocol")
TCPM__ERRNO(EADDRINUSE, "Address already in use")
TCPM__ERRNO(EADDRNOTAVAIL, "Cannot assign requested address")
TCPM__ERRNO(ENETDOWN, "Network is down")
TCPM__ERRNO(ENETUNREACH, "Network is unreachable")
TCPM__ERRNO(ENETRESET, "Network dropped connection on reset")
TCPM__ERRNO(ECONNABORTED, "Software caused connection abort")
TCPM__ERRNO(ECONNRESET, "Connection reset by peer")
TCPM__ERRNO(ENOBUFS, "No buffer space available")
TCPM__ERRNO(EISCONN, "Transport endpoint is already connected")
TCPM__ERRNO(ENOTCONN, "Transport endpoint is not connected")
TCPM__ERRNO(ETIMEDOUT, "Connection timed out")
TCPM__ERRNO(ECONNREFUSED, "Connection refused")
TCPM__ERRNO(EHOSTUNREACH, "No route to host")
TCPM__ERRNO(EALREADY, "Operation already in progress")
TCPM__ERRNO(EINPROGRESS, "Operation now in progress")
TCPM__ERRNO(ESTALE, "Stale file handle")
TCPM__ERRNO(EDQUOT, "Disk quota exceeded")
TCPM__ERRNO(ECANCELED, "Operation canceled")
TCPM__ERRNO(EOWNERDEAD, "Owner died")
TCPM__ERRNO(ENOTRECOVERABLE, "State not recoverable")

#ifdef ENOTBLK
TCPM__ERRNO(ENOTBLK, "Block device required")
#endif
#ifdef ECHRNG
TCPM__ERRNO(ECHRNG, "Channel number out of range")
#endif
#ifdef EL2NSYNC
TCPM__ERRNO(EL2NSYNC, "Level 2 not synchronized")
#endif
#ifdef EL3HLT
TCPM__ERRNO(EL3HLT, "Level 3 halted")
#endif
#ifdef EL3RST
TCPM__ERRNO(EL3RST, "Level 3 reset")
#endif
#ifdef ELNRNG
TCPM__ERRNO(ELNRNG, "Link number out of range")
#endif
#ifdef EUNATCH
TCPM__ERRNO(EUNATCH, "Protocol driver not attached")
#endif
#ifdef ENOCSI
TCPM__ERRNO(ENOCSI, "No CSI structure available")
#endif
#ifdef EL2HLT
TCPM__ERRNO(EL2HLT, "Level 2 halted")
#endif
#ifdef EBADE
TCPM__ERRNO(EBADE, "Invalid exchange")
#endif
#ifdef EBADR
TCPM__ERRNO(EBADR, "Invalid request descriptor")
#endif
#ifdef EXFULL
TCPM__ERRNO(EXFULL, "Exchange full")
#endif
#ifdef ENOANO
TCPM__ERRNO(ENOANO, "No anode")
#endif
#ifdef EBADRQC
TCPM__ERRNO(EBADRQC, "Invalid request code")
#endif
#ifdef EBADSLT
TCPM__ERRNO(EBADSLT, "Invalid slot")
#endif
#ifdef EBFONT
TCPM__ERRNO(EBFONT, "Bad font file format")
#endif
#ifdef ENOSTR
TCPM__ERRNO(ENOSTR, "Device not a stream")
#endif
#ifdef ENODATA
TCPM__ERRNO(ENODATA, "No data available")
#endif
#ifdef ETIME
TCPM__ERRNO(ETIME, "Timer expired")
#endif
#ifdef ENOSR
TCPM__ERRNO(ENOSR, "Out of streams resources")
#endif
#ifdef ENONET
TCPM__ERRNO(ENONET, "Machine is not on the network")
#endif
#ifdef ENOPKG
TCPM__ERRNO(ENOPKG, "Package not installed")
#endif
#ifdef EREMOTE
TCPM__ERRNO(EREMOTE, "Object is remote")
#endif
#ifdef ENOLINK
TCPM__ERRNO(ENOLINK, "Link has been severed")
#endif
#ifdef EADV
TCPM__ERRNO(EADV, "Advertise error")
#endif
#ifdef ESRMNT
TCPM__ERRNO(ESRMNT, "Srmount error")
#endif
#ifdef ECOMM
TCPM__ERRNO(ECOMM, "Communication error on send")
#endif
#ifdef EMULTIHOP
TCPM__ERRNO(EMULTIHOP, "Multihop attempted")
#endif
#ifdef EDOTDOT
TCPM__ERRNO(EDOTDOT, "RFS specific error")
#endif
#ifdef ENOTUNIQ
TCPM__ERRNO(ENOTUNIQ, "Name not unique on network")
#endif
#ifdef EBADFD
TCPM__ERRNO(EBADFD, "File descriptor in bad state")
#endif
#ifdef EREMCHG
TCPM__ERRNO(EREMCHG, "Remote address changed")
#endif
#ifdef ELIBACC
TCPM__ERRNO(ELIBACC, "Can not access a needed shared library")
#endif
#ifdef ELIBBAD
TCPM__ERRNO(ELIBBAD, "Accessing a corrupted shared library")
#endif
#ifdef ELIBSCN
TCPM__ERRNO(ELIBSCN, ".lib section in a.out corrupted")
#endif
#ifdef ELIBMAX
TCPM__ERRNO(ELIBMAX, "Attempting to link in too many shared libraries")
#endif
#ifdef ELIBEXEC
TCPM__ERRNO(ELIBEXEC, "Cannot exec a shared library directly")
#endif
#ifdef ERESTART
TCPM__ERRNO(ERESTART, "Interrupted system call should be restarted")
#endif
#ifdef ESTRPIPE
TCPM__ERRNO(ESTRPIPE, "Streams pipe error")
#endif
#ifdef EUSERS
TCPM__ERRNO(EUSERS, "Too many users")
#endif
#ifdef ESOCKTNOSUPPORT
TCPM__ERRNO(ESOCKTNOSUPPORT, "Socket type not supported")
#endif
#ifdef EPFNOSUPPORT
TCPM__ERRNO(EPFNOSUPPORT, "Protocol family not supported")
#endif
#ifdef ESHUTDOWN
TCPM__ERRNO(ESHUTDOWN, "Cannot send after transport endpoint shutdown")
#endif
#ifdef ETOOMANYREFS
TCPM__ERRNO(ETOOMANYREFS, "Too many references: cannot splice")
#endif
#ifdef EHOSTDOWN
TCPM__ERRNO(EHOSTDOWN, "Host is down")
#endif
#ifdef EUCLEAN
TCPM__ERRNO(EUCLEAN, "Structure needs cleaning")
#endif
#ifdef ENOTNAM
TCPM__ERRNO(ENOTNAM, "Not a XENIX named type file")
#endif
#ifdef ENAVAIL
TCPM__ERRNO(ENAVAIL, "No XENIX semaphores available")
#endif
#ifdef EISNAM
TCPM__ERRNO(EISNAM, "Is a named type file")
#endif
#ifdef EREMOTEIO
TCPM__ERRNO(EREMOTEIO, "Remote I/O error")
#endif
#ifdef ENOMEDIUM
TCPM__ERRNO(ENOMEDIUM, "No medium found")
#endif
#ifdef EMEDIUMTYPE
TCPM__ERRNO(EMEDIUMTYPE, "Wrong medium type")
#endif
#ifdef ENOKEY
TCPM__ERRNO(ENOKEY, "Required key not available")
#endif
#ifdef EKEYEXPIRED
TCPM__ERRNO(EKEYEXPIRED, "Key has expired")
#endif
#ifdef EKEYREVOKED
TCPM__ERRNO(EKEYREVOKED, "Key has been revoked")
#endif
#ifdef EKEYREJECTED
TCPM__ERRNO(EKEYREJECTED, "Key was rejected by service")
#endif
#ifdef ERFKILL
TCPM__ERRNO(ERFKILL, "Operation not possible due to RF-kill")
#endif
#ifdef EHWPOISON
TCPM__ERRNO(EHWPOISON, "Memory page has hardware error")
#endif

#undef TCPM__ERRNO
