# cmake --install and CPack: one relocatable folder, libraries beside the binaries.
