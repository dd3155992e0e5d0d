-- Who is measured, the floor first: all ratios are to it. To add one: write its client in clients/
-- (README.md says what is asked of it) and name it here.
--   command(paths): program and first arguments
--   needs: a program without which it is left out
--   share: the part of the work that it does, for slow ones (1: all)
return {
  {
    name = "floor",
    title = "epoll in C, hand-tuned",
    command = function(paths)
      return { paths.programs .. "/bench-floor" }
    end,
  },
  {
    name = "libuv",
    title = "libuv in C, natural style",
    command = function(paths)
      return { paths.programs .. "/bench-libuv" }
    end,
  },
  {
    name = "c",
    title = "tcpmulti, C API",
    command = function(paths)
      return { paths.programs .. "/bench-tcpmulti" }
    end,
  },
  {
    name = "lua",
    title = "tcpmulti, handlers in Lua",
    command = function(paths)
      return { paths.runner, paths.clients .. "/tcpmulti.lua" }
    end,
  },
}
