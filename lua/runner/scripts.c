/* SPDX-License-Identifier: MIT */
/*
 * The scripts that come with the program, for -m. In a build tree they are those of the source,
 * so that a change needs no build; an installed program has copies among its data. Either folder
 * is found from where the program itself lies.
 */
#include "runner.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uv.h>

/* Writes the path of the program's folder, with a slash at its end. */
static bool find_program_folder(char ret[PATH_MAX])
{
    size_t size = PATH_MAX;

    if (uv_exepath(ret, &size) != 0)
        return false;
    char *slash = strrchr(ret, '/');
    if (slash == NULL)
        return false;
    slash[1] = '\0';
    return true;
}

/* Writes the path of rest, seen from base; an absolute rest stays as it is. False: nothing is
   there. */
static bool resolve(const char *base, const char *rest, char ret[PATH_MAX])
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s%s", rest[0] == '/' ? "" : base, rest);

    return length > 0 && (size_t) length < sizeof path && realpath(path, ret) != NULL;
}

/* Meson makes the folder meson-info in every build tree. The program lies one folder below. */
static bool find_folder(char ret[PATH_MAX])
{
    char program[PATH_MAX];

    if (!find_program_folder(program))
        return false;
    if (resolve(program, "../meson-info", ret) && resolve(program, "../../scripts", ret))
        return true;
    return resolve(program, RUNNER_SCRIPTS, ret);
}

static int is_script(const struct dirent *entry)
{
    const char *end = strrchr(entry->d_name, '.');

    return end != NULL && end != entry->d_name && strcmp(end, ".lua") == 0;
}

/* Writes the names of all scripts in the folder; what does not fit is cut off. */
static void list_names(const char *folder, char *ret, size_t size)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, is_script, alphasort);

    snprintf(ret, size, "there are %s", count > 0 ? "" : "none");
    for (int i = 0; i < count; i++) {
        size_t length = strlen(ret);
        int name = (int) (strrchr(entries[i]->d_name, '.') - entries[i]->d_name);

        snprintf(ret + length, size - length, "%s%.*s", i == 0 ? "" : ", ", name,
                 entries[i]->d_name);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
}

char *tcpm__runner_scripts_find(const char *name, char *known, size_t size)
{
    char folder[PATH_MAX], *path;

    snprintf(known, size, "the scripts are not installed: give the file");
    if (!find_folder(folder) || asprintf(&path, "%s/%s.lua", folder, name) < 0)
        return NULL;
    if (name[0] != '\0' && strchr(name, '/') == NULL && access(path, R_OK) == 0)
        return path;
    free(path);
    list_names(folder, known, size);
    return NULL;
}
