# make demo   builds knedit and edits the demo checkpoint
# make test   runs every test
# make        builds knedit: .build/release/knedit

PACKAGES := libhdf5-dev libdnnl-dev pkg-config
KNEDIT := .build/release/knedit
OUT := demo-out

.PHONY: build demo test lint system

build: system
	swift build -c release --product knedit

demo: build
	@sh Edits/demo.sh $(KNEDIT) $(OUT)

# Tests run side by side, and threads that spin while they wait would take the cores from each other.
test: system
	OMP_WAIT_POLICY=passive swift test -c release

lint:
	swift format lint --strict -r Sources Tests Package.swift

# Installs what is missing when this user may, and otherwise says what to install.
system:
	@command -v swift >/dev/null || { echo "knedit needs Swift 6.1 or later: https://www.swift.org/install" >&2; exit 1; }
	@if pkg-config --exists hdf5 2>/dev/null && echo '#include <dnnl.h>' | cc -E - >/dev/null 2>&1; then :; \
	elif ! command -v apt-get >/dev/null; then \
	  echo "Install HDF5, oneDNN and pkg-config with their headers (Debian's names: $(PACKAGES)), then run make again." >&2; exit 1; \
	elif [ "$$(id -u)" = 0 ]; then apt-get update -q && apt-get install -y -q --no-install-recommends $(PACKAGES); \
	elif sudo -n true 2>/dev/null; then sudo apt-get update -q && sudo apt-get install -y -q --no-install-recommends $(PACKAGES); \
	else echo "Install the missing system packages: sudo apt-get install $(PACKAGES)" >&2; exit 1; fi
