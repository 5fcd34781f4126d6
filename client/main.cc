#include <iostream>

#include "client/app.h"

int main(int argc, char** argv) { return qtipd::RunClient(argc, argv, std::cout, std::cerr); }
