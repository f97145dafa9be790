/* Runs a fuzz target over the files of the folders named: no fuzzing, just what is known. Each
 * input also goes through cut short, since that is what networks do to it. */
#include "fuzz.h"

#include "aws_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In memory of exactly its size, so that the sanitizer sees a step over the end. */
static void run(const char *bytes, size_t n)
{
    uint8_t *exact = malloc(n > 0 ? n : 1);

    FUZZ_CHECK(exact != NULL);
    memcpy(exact, bytes, n);
    LLVMFuzzerTestOneInput(exact, n);
    free(exact);
}

static size_t replay_folder(const char *folder)
{
    char **names = fixture_list(folder);
    size_t files = 0;

    for (size_t i = 0; names != NULL && names[i] != NULL; i++) {
        char path[4096];
        size_t n = 0;
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        char *bytes = fixture_read(path, &n);
        FUZZ_CHECK(bytes != NULL);
        run(bytes, n);
        for (size_t part = 1; part < 8; part++)
            run(bytes, n * part / 8);
        free(bytes);
        files++;
    }
    fixture_list_free(names);
    return files;
}

int main(int argc, char **argv)
{
    size_t files = 0;

    for (int i = 1; i < argc; i++)
        files += replay_folder(argv[i]);
    printf("%zu inputs replayed\n", files);
    return files > 0 ? EXIT_SUCCESS : EXIT_FAILURE; /* an empty corpus proves nothing */
}
